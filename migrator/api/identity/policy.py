"""Who may do what: the table of rules with what ``policy_file`` overrides, and the decision about one caller.

Owns that every rule in force can be read, names only rules that are there, and ends. Never raises for a request: the
caller of ``allows`` does. Why oslo.policy's format, but not its code: docs/adr/0030-policy.md.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from migrator.api.identity import policy_file
from migrator.api.identity.policy_language import Expression, NotReadable, Situation, parsed
from migrator.api.identity.policy_rules import ALIASES, RULES
from migrator.errors import SettingInvalid
from migrator.scheduler.requests.requests import Caller

_OURS = ("os_compute_api:", "compute:", "migrator:")  # a name that begins so is never an alias


class Policy:
    """``overridden``: whether anything differs from the table, so that only a rule itself tells what it depends on."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        texts = {**ALIASES, **{name: rule.default for name, rule in RULES.items()}, **(overrides or {})}
        self.overridden = bool(overrides)
        self._rules = {name: parsed(text) for name, text in texts.items()}

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any] | None = None) -> bool:
        """``target``: whose the thing is, as ``project_id`` and ``user_id``; None: the caller's own. A rule that is not
        there allows nothing."""
        known = self._rules.get(rule)
        if known is None or not _in_scope(rule, caller):
            return False
        own = {"project_id": caller.project_id, "user_id": caller.user_id}
        return known.passes(Situation(caller.roles, _attributes(caller), target or own, self._rules))


def _in_scope(rule: str, caller: Caller) -> bool:
    """Asked before any role: the role of a domain's administrator is named "admin", too, and is no role here."""
    if caller.system_scope:
        return rule not in RULES or RULES[rule].system
    return bool(caller.project_id)


def _attributes(caller: Caller) -> Mapping[str, Any]:
    return {
        "user_id": caller.user_id,
        "project_id": caller.project_id or None,
        "domain_id": caller.domain_id,
        "system_scope": caller.system_scope,
        "is_admin": caller.is_admin,
    }


def load(path: Path | None) -> Policy:
    """Raises SettingInvalid that names the file, the line and the rule."""
    if path is None:
        return Policy()
    entries = policy_file.read(path)
    texts: dict[str, tuple[str, Expression]] = {}
    for entry in entries:
        if entry.name not in RULES and entry.name.startswith(_OURS):
            raise SettingInvalid(f"{entry.where}: {entry.name}: no such rule; docs/policy.md lists them")
        try:
            texts[entry.name] = (entry.where, parsed(entry.text))
        except NotReadable as error:
            raise SettingInvalid(f"{entry.where}: {entry.name}: {error}") from error
    _check_references(texts)
    return Policy({entry.name: entry.text for entry in entries})


def _check_references(given: Mapping[str, tuple[str, Expression]]) -> None:
    """Raises SettingInvalid for a rule that names one that is not there, or itself through others."""
    texts = {**ALIASES, **{name: rule.default for name, rule in RULES.items()}}
    known = {name: parsed(text).references for name, text in texts.items()}
    known |= {name: expression.references for name, (_, expression) in given.items()}
    for name, (where, expression) in given.items():
        if missing := sorted(expression.references - known.keys()):
            raise SettingInvalid(f"{where}: {name}: it names the rule {missing[0]}, which is not there")
        if name in _reached(expression.references, known):
            raise SettingInvalid(f"{where}: {name}: it is made of itself")


def _reached(references: Iterable[str], known: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(references)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += known.get(name, ())
    return found
