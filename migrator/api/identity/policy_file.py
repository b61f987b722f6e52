"""Reads ``policy_file``: rule names and rules, as oslo.policy writes them (YAML, of which JSON is a part).

Owns where in the file what stands. Raises SettingInvalid that names the line. Never decides what a rule means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from migrator.errors import SettingInvalid

_LARGEST = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Entry:
    line: int
    name: str
    text: str


def read(path: Path) -> Sequence[Entry]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise SettingInvalid(f"policy_file = {path}: it is larger than {_LARGEST} bytes")
        root = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingInvalid(f"policy_file = {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingInvalid(f"policy_file = {path}: it is no UTF-8 text") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise SettingInvalid(f"policy_file = {path}{line}: {getattr(error, 'problem', None) or error}") from error
    if root is None:
        return ()
    if not isinstance(root, yaml.MappingNode):
        raise SettingInvalid(f'policy_file = {path}, line 1: expected lines such as "RULE": "role:admin"')
    return _entries(path, root)


def _entries(path: Path, root: yaml.MappingNode) -> Sequence[Entry]:
    found: dict[str, Entry] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        where = f"policy_file = {path}, line {line}"
        if not isinstance(key, yaml.ScalarNode):
            raise SettingInvalid(f"{where}: the name of a rule is a text")
        if key.value in found:
            raise SettingInvalid(f"{where}: {key.value} stands in line {found[key.value].line}, too")
        text = _text(value)
        if text is None:
            raise SettingInvalid(f"{where}: {key.value}: a rule is a text, or a list of lists")
        found[key.value] = Entry(line, key.value, text)
    return tuple(found.values())


def _text(node: yaml.Node) -> str | None:
    """The older form, a list of alternatives that are lists of conditions, as the newer one; None: it is neither."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value) if node.tag == "tag:yaml.org,2002:str" or not node.value else None
    if not isinstance(node, yaml.SequenceNode):
        return None
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
