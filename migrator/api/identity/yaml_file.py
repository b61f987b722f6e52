"""Reads a YAML file of names and values, of which JSON is a part, with the line of each.

Owns where in a file what stands, and that a name stands there once. Raises SettingInvalid that names the setting, the
file and the line. Never decides what a value means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from migrator.errors import SettingInvalid

LARGEST = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """``where`` begins every sentence about it."""

    where: str
    line: int
    name: str
    node: yaml.Node


def text_of(setting: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise SettingInvalid(f"{setting} = {path}: it is larger than {LARGEST} bytes")
        return content.decode()
    except OSError as error:
        raise SettingInvalid(f"{setting} = {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingInvalid(f"{setting} = {path}: it is no UTF-8 text") from error


def read(setting: str, path: Path, example: str) -> Sequence[Entry]:
    """``example``: a line as it should be."""
    try:
        root = yaml.compose(text_of(setting, path), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise SettingInvalid(f"{setting} = {path}{line}: {getattr(error, 'problem', None) or error}") from error
    if root is None:
        return ()
    if not isinstance(root, yaml.MappingNode):
        raise SettingInvalid(f"{setting} = {path}, line 1: expected lines such as {example}")
    return entries(f"{setting} = {path}", root)


def entries(file: str, root: yaml.MappingNode) -> Sequence[Entry]:
    found: dict[str, Entry] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        where = f"{file}, line {line}"
        if not isinstance(key, yaml.ScalarNode):
            raise SettingInvalid(f"{where}: a name is a text")
        if key.value in found:
            raise SettingInvalid(f"{where}: {key.value} stands in line {found[key.value].line}, too")
        found[key.value] = Entry(where, line, key.value, value)
    return tuple(found.values())


def text(node: yaml.Node) -> str | None:
    """None: it is no text."""
    if isinstance(node, yaml.ScalarNode) and (node.tag == "tag:yaml.org,2002:str" or not node.value):
        return str(node.value)
    return None
