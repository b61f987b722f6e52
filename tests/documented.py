"""What docs/authentication.md tells clients to set, copied out as a reader does it: with the reader's own addresses,
names and passwords in place of the example's."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/authentication.md"


def clouds(strategy: str, own: Mapping[str, str]) -> str:
    """The text of clouds.yaml. ``own``: what stands in the page -> what the reader writes."""
    block = re.search(r"```yaml\n(.*?)```", _section(strategy), re.DOTALL)
    assert block is not None, strategy
    return _with(block[1], own)


def variables(strategy: str, client: str, own: Mapping[str, str]) -> dict[str, str]:
    """The environment that the first words in the client's line of the table give it."""
    line = re.search(rf"^\| `{client}`.*? \| .*?`([^`]*)`.*\|$", _section(strategy), re.MULTILINE)
    assert line is not None, (strategy, client)
    pairs = (word.partition("=") for word in shlex.split(line[1]))
    return {name: _with(value, {old: new for old, new in own.items() if old in value}) for name, _, value in pairs}


def _section(strategy: str) -> str:
    section = re.search(rf"^## {strategy}: .*?\n(.*?)(?=^## )", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert section is not None, strategy
    return section[1]


def _with(text: str, own: Mapping[str, str]) -> str:
    for old, new in own.items():
        assert old in text, f"{old} is not in the page any more"
        text = text.replace(old, new)
    return text
