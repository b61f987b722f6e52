"""A file of outcomes, one a line, written as they come: a run that is stopped goes on where it was.

Owns its form. An outcome counts only for the mutant as it was: another change under the same name is tried again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.mutant import Mutant
from tests.mutation.runner import Fate, Outcome


class Results:
    """``path`` None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, outcome: Outcome) -> None:
        if self._path is None:
            return
        mutant = outcome.mutant
        told = {"fate": outcome.fate, "by": outcome.by, "suite": outcome.suite, "seconds": round(outcome.seconds, 1)}
        with self._path.open("a") as file:
            file.write(json.dumps(_key(mutant) | told) + "\n")

    def killed(self, mutants: Sequence[Mutant]) -> list[Outcome]:
        """What an earlier run has seen killed. All others are tried again."""
        if self._path is None or not self._path.exists():
            return []
        lines = [json.loads(line) for line in self._path.read_text().splitlines()]
        seen = {json.dumps({name: line[name] for name in _KEY}): line for line in lines if line["fate"] == Fate.KILLED}
        return [
            Outcome(mutant, Fate.KILLED, line["by"], line["suite"], line["seconds"])
            for mutant in mutants
            if (line := seen.get(json.dumps(_key(mutant))))
        ]


_KEY = ("file", "name", "old", "new")


def _key(mutant: Mutant) -> dict[str, str]:
    return {name: getattr(mutant, name) for name in _KEY}
