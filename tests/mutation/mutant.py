"""What a planted bug is, and which suites are asked for it. Never runs anything."""

from collections.abc import Mapping
from dataclasses import dataclass

_DECISION = ("tests/unit", "tests/model", "tests/world", "tests/api")
_AGENT = ("tests/unit", "tests/contract/test_simulated.py", "tests/world", "tests/api")
_DATABASE = ("tests/db", "tests/unit", "tests/api", "tests/world")

# The longest prefix of the file decides. The cheapest suite comes first: the first one that fails kills a mutant.
SUITES: Mapping[str, tuple[str, ...]] = {
    "migrator/": _DECISION,
    "migrator/compute/": _AGENT,
    "migrator/db/": _DATABASE,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` stands exactly once in ``file``, a path from the project's root, and becomes ``new``. ``name`` is the bug
    in a few words. ``equivalent``: why no test can notice it; "" for one that a test must notice."""

    name: str
    file: str
    old: str
    new: str
    equivalent: str = ""

    @property
    def suites(self) -> tuple[str, ...]:
        return SUITES[max((prefix for prefix in SUITES if self.file.startswith(prefix)), key=len)]

    def applied(self, text: str) -> str:
        """The file's text with the bug in it. Raises ValueError when ``old`` does not stand there exactly once."""
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: what it changes stands {found} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)
