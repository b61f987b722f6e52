"""Reads ``policy_file``: rule names and rules, as oslo.policy writes them. Never decides what a rule means."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from migrator.api.identity import yaml_file
from migrator.errors import SettingInvalid


@dataclass(frozen=True, slots=True)
class Entry:
    where: str
    name: str
    text: str


def read(path: Path) -> Sequence[Entry]:
    """Raises SettingInvalid that names the line."""
    return [_entry(one) for one in yaml_file.read("policy_file", path, '"RULE": "role:admin"')]


def _entry(given: yaml_file.Entry) -> Entry:
    text = _text(given.node)
    if text is None:
        raise SettingInvalid(f"{given.where}: {given.name}: a rule is a text, or a list of lists")
    return Entry(given.where, given.name, text)


def _text(node: yaml.Node) -> str | None:
    """The older form, a list of alternatives that are lists of conditions, as the newer one; None: it is neither."""
    if not isinstance(node, yaml.SequenceNode):
        return yaml_file.text(node)
    parts = []
    for inner in node.value:
        checks = inner.value if isinstance(inner, yaml.SequenceNode) else [inner]
        if not all(isinstance(check, yaml.ScalarNode) for check in checks):
            return None
        if checks:
            parts.append(" and ".join(f"( {check.value} )" for check in checks))
    if not node.value:
        return "@"
    return " or ".join(parts) or "!"
