"""What an alarm, an error or a page of the documentation tells an operator to type is a command of this release."""

import re
from pathlib import Path

import pytest

from migrator.cli.main import parser

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`migrator ([a-z][a-z-]*)")


def verbs() -> set[str]:
    found: set[str] = set()
    for action in parser()._actions:
        found |= set(action.choices) if isinstance(action.choices, dict) else set()
    return found


def named(*patterns: str) -> dict[str, str]:
    """Verb -> a file that names it."""
    return {
        verb: str(path.relative_to(ROOT))
        for pattern in patterns
        for path in sorted(ROOT.glob(pattern))
        for verb in NAMED.findall(path.read_text())
    }


@pytest.mark.parametrize("patterns", [("migrator/**/*.py",), ("docs/*.md", "README.md")], ids=["words", "pages"])
def test_every_command_that_is_advised_exists(patterns: tuple[str, ...]) -> None:
    found = named(*patterns)
    assert len(found) > 10
    assert {verb: where for verb, where in found.items() if verb not in verbs()} == {}
