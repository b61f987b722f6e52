"""What is left out of tempest, and why: the table of docs/tempest.md, read."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/tempest.md"
ALL = r"tempest\.(api\.compute|serial_tests\.api)\."
_ROW = re.compile(r"^\| `(?P<tests>.+)` \| (?P<why>[^|]+) \|$", re.MULTILINE)


def read(page: str) -> Mapping[str, str]:
    """Expression -> reason."""
    return {row["tests"].replace(r"\|", "|"): row["why"] for row in _ROW.finditer(page)}


def write(path: Path, excluded: Mapping[str, str]) -> None:
    """As tempest reads it."""
    path.write_text("".join(f"{_whole(tests)} # {why}\n" for tests, why in excluded.items()))


def idle(excluded: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Expressions that leave none of these tests out."""
    return [tests for tests in excluded if not any(re.search(_whole(tests), name) for name in names)]


def _whole(tests: str) -> str:
    return f"{ALL}.*({tests})"
