"""Runs mutants: each in a copy of the tree, suite after suite, until a test notices it.

Owns the copies and what counts as noticed. A copy is one worker's; a mutant's file is put back before the next one is
applied. A suite is asked of a mutant only after the unchanged tree has passed it.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tests.mutation.asking import Answer, Verdict, ask
from tests.mutation.mutant import Mutant

ROOT = Path(__file__).parents[2]
_COPIED = ("migrator", "tests", "alembic", "alembic.ini", "pyproject.toml", "README.md", "docs", "script")
_TRIES = 2  # of a suite that gave no word about the code

Asking = Callable[[Path, Sequence[str]], Answer]


class UnchangedTreeFails(Exception):
    """The tree without any bug does not pass a suite, so the suite can say nothing about mutants."""


class Fate(StrEnum):
    KILLED = "killed"
    SURVIVED = "SURVIVED"
    VOID = "VOID"  # its tests could not be asked: an error of the run


@dataclass(frozen=True, slots=True)
class Outcome:
    """``by``: the test that noticed it, or why the run says nothing; "" for a survivor. ``suite``: the place of the
    suite that decided among the mutant's suites."""

    mutant: Mutant
    fate: Fate
    by: str = ""
    suite: int = 0
    seconds: float = 0.0


@dataclass
class Runner:
    """``own_only``: a mutant meets only the first of its suites."""

    workers: int = 1
    own_only: bool = False
    asking: Asking = ask
    _passed: set[tuple[str, ...]] = field(default_factory=set)
    _checking: Lock = field(default_factory=Lock)

    def run(self, mutants: Sequence[Mutant], told: Callable[[Outcome], None]) -> list[Outcome]:
        """Outcomes in the order of ``mutants``; ``told`` hears of each as it comes. Raises UnchangedTreeFails."""
        trees: SimpleQueue[Path] = SimpleQueue()

        def one(mutant: Mutant) -> Outcome:
            tree = trees.get()
            try:
                outcome = self.attempt(tree, mutant)
            finally:
                trees.put(tree)
            told(outcome)
            return outcome

        with _copies(self.workers) as made, ThreadPoolExecutor(self.workers) as pool:
            for tree in made:
                trees.put(tree)
            try:
                return list(pool.map(one, mutants))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def attempt(self, tree: Path, mutant: Mutant) -> Outcome:
        """Plants the mutant in the tree, asks its suites until one notices it, and puts the file back."""
        began = time.monotonic()
        fate, by, place = Fate.SURVIVED, "", 0
        for place, suite in enumerate(mutant.suites[:1] if self.own_only else mutant.suites):  # noqa: B007
            self._check_unchanged(tree, suite)
            fate, by = self._meet(tree, mutant, suite)
            if fate is not Fate.SURVIVED:
                break
        return Outcome(mutant, fate, by, place, time.monotonic() - began)

    def _meet(self, tree: Path, mutant: Mutant, suite: tuple[str, ...]) -> tuple[Fate, str]:
        for _ in range(_TRIES):
            with _planted(tree, mutant):
                answer = self.asking(tree, suite)
            if answer.verdict is Verdict.PASSED:
                return Fate.SURVIVED, ""
            if answer.verdict is Verdict.FAILED:
                return Fate.KILLED, answer.detail
            # A mutant may well keep a fixture from being set up: then the same test passes once the bug is gone.
            if answer.verdict is Verdict.BROKEN and self.asking(tree, (answer.detail,)).verdict is Verdict.PASSED:
                return Fate.KILLED, f"{answer.detail} (cannot start)"
        return Fate.VOID, answer.detail

    def _check_unchanged(self, tree: Path, suite: tuple[str, ...]) -> None:
        with self._checking:
            if suite in self._passed:
                return
            answer = self.asking(tree, suite)
            if answer.verdict is not Verdict.PASSED:
                raise UnchangedTreeFails(
                    f"The unchanged tree does not pass {' '.join(suite)}: {answer.verdict.value}: {answer.detail}."
                    " Mend that first: until then these tests notice every mutant."
                )
            self._passed.add(suite)


@contextmanager
def _planted(tree: Path, mutant: Mutant) -> Iterator[None]:
    file = tree / mutant.file
    whole = file.read_text()
    file.write_text(mutant.applied(whole))
    try:
        yield
    finally:
        file.write_text(whole)


@contextmanager
def _copies(count: int) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory(prefix="migrator-mutants-") as top:
        made = [Path(top, str(number)) for number in range(count)]
        for tree in made:
            for name in _COPIED:
                origin = ROOT / name
                copy = shutil.copytree if origin.is_dir() else shutil.copy
                tree.mkdir(exist_ok=True)
                copy(origin, tree / name)
        yield made
