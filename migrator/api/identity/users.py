"""Users of ``auth_strategy = http_basic``: passwords in an htpasswd file (bcrypt), projects and roles in one beside it.

Owns the form of both files, and that a user is one that stands in both: a line that is taken out of either takes the
access. Raises SettingInvalid that names the file and the line. Never compares a password.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from migrator.api.identity import yaml_file
from migrator.api.identity.authenticator import Identity, implied
from migrator.api.identity.policy_rules import ROLES
from migrator.errors import SettingInvalid

PASSWORDS, PROJECTS = "http_basic_auth_user_file", "http_basic_auth_roles_file"
_BCRYPT = re.compile(r"\$2[abxy]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_USER = re.compile(r"[^:\s\x00-\x1f]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,255}")  # of a project, a role
_COSTS = range(4, 17)  # of bcrypt; each step doubles the time that one password takes
_EXAMPLE = "alice: {project: demo, roles: [member]}"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Users:
    """``incomplete``: those that stand in one file alone. ``decoy``: a hash that no password has, and that costs what
    the others cost."""

    hashes: Mapping[str, bytes]
    identities: Mapping[str, Identity]
    incomplete: frozenset[str]
    decoy: bytes

    def refusal(self, name: str) -> str:
        """Why a password of this user is not right, for the audit."""
        if name in self.hashes:
            return "wrong password"
        return "the user stands in one of the two files only" if name in self.incomplete else "unknown user"


def load(passwords: Path, projects: Path) -> Users:
    hashes = _hashes(passwords)
    entries = {entry.name: entry for entry in yaml_file.read(PROJECTS, projects, _EXAMPLE)}
    identities = {name: _identity(entry) for name, entry in entries.items()}
    for name in sorted(hashes.keys() - entries.keys()):
        where = f"{PASSWORDS} = {passwords}, line {hashes[name][0]}"
        log.warning("%s: %s has no project in %s, and so no access", where, name, projects)
    for name in sorted(entries.keys() - hashes.keys()):
        log.warning("%s: %s has no password in %s, and so no access", entries[name].where, name, passwords)
    cost = max((found[4:6] for _, found in hashes.values()), default="12")
    decoy = f"$2b${cost}${'.' * 22}{'.' * 31}".encode()
    both = hashes.keys() & entries.keys()
    return Users(
        hashes={name: hashes[name][1].encode() for name in both},
        identities={name: identities[name] for name in both},
        incomplete=frozenset(hashes.keys() ^ entries.keys()),
        decoy=decoy,
    )


def _hashes(path: Path) -> Mapping[str, tuple[int, str]]:
    """User -> (line, hash)."""
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(yaml_file.text_of(PASSWORDS, path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        where = f"{PASSWORDS} = {path}, line {number}"
        name, _, hashed = text.partition(":")
        known = _BCRYPT.fullmatch(hashed)
        if not _USER.fullmatch(name):
            raise SettingInvalid(f"{where}: expected USER:HASH, as `htpasswd -B` writes it")
        if known is None:  # the hash itself is in no message
            raise SettingInvalid(f"{where}: the password of {name} is no bcrypt hash; `htpasswd -B` makes one")
        if int(known[1]) not in _COSTS:
            raise SettingInvalid(f"{where}: bcrypt's cost is {known[1]}; from {_COSTS[0]} to {_COSTS[-1]}")
        if name in found:
            raise SettingInvalid(f"{where}: {name} stands in line {found[name][0]}, too")
        found[name] = (number, hashed)
    return found


def _identity(entry: yaml_file.Entry) -> Identity:
    if not isinstance(entry.node, yaml.MappingNode):
        raise SettingInvalid(f"{entry.where}: expected {_EXAMPLE}")
    parts = {part.name: part for part in yaml_file.entries(entry.where.rpartition(", ")[0], entry.node)}
    if unknown := sorted(parts.keys() - {"project", "roles"}):
        raise SettingInvalid(f"{parts[unknown[0]].where}: {unknown[0]} is nothing of a user; expected {_EXAMPLE}")
    if missing := sorted({"project", "roles"} - parts.keys()):
        raise SettingInvalid(f"{entry.where}: {entry.name} has no {missing[0]}; expected {_EXAMPLE}")
    project = _checked(parts["project"], parts["project"].node)
    node = parts["roles"].node
    if not isinstance(node, yaml.SequenceNode):
        raise SettingInvalid(f"{parts['roles'].where}: roles are a list, such as [member]")
    roles = frozenset(_checked(parts["roles"], one) for one in node.value)
    if others := sorted(roles - set(ROLES)):
        log.warning("%s: %s has the role %s, which no rule names by default", entry.where, entry.name, others[0])
    return Identity(entry.name, project, implied(roles))


def _checked(entry: yaml_file.Entry, node: yaml.Node) -> str:
    found = yaml_file.text(node)
    if found is None or not _NAME.fullmatch(found):
        raise SettingInvalid(f"{entry.where}: {entry.name}: expected letters, digits, '.', '-', '_' and '@'")
    return found
