"""Runs mutants: each in a copy of the tree, suite after suite, until a test notices it.

Owns the copies and the processes. A copy is one worker's; a mutant's file is put back before the next one is applied.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutant import Mutant

ROOT = Path(__file__).parents[2]
_COPIED = ("migrator", "tests", "alembic", "alembic.ini", "pyproject.toml", "README.md", "docs", "script")
_OF_THE_LIST = "tests/unit/test_mutants.py"  # it holds the list against the code, so it would notice every mutant
_LONGEST_S = 3600.0  # of one suite: a mutant that hangs it is noticed, too


@dataclass(frozen=True, slots=True)
class Outcome:
    """``killed_by``: the test or the suite that failed; "" for a survivor."""

    mutant: Mutant
    killed_by: str
    seconds: float


def run(mutants: Sequence[Mutant], workers: int, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Outcomes in the order of ``mutants``; ``told`` hears of each as it comes."""
    trees: SimpleQueue[Path] = SimpleQueue()

    def one(mutant: Mutant) -> Outcome:
        tree = trees.get()
        try:
            outcome = _try(tree, mutant)
        finally:
            trees.put(tree)
        told(outcome)
        return outcome

    with _copies(workers) as made, ThreadPoolExecutor(workers) as pool:
        for tree in made:
            trees.put(tree)
        return list(pool.map(one, mutants))


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


def _try(tree: Path, mutant: Mutant) -> Outcome:
    began, file = time.monotonic(), tree / mutant.file
    whole = file.read_text()
    file.write_text(mutant.applied(whole))
    try:
        killed = next((by for suite in mutant.suites if (by := _failure(tree, suite))), "")
    finally:
        file.write_text(whole)
    return Outcome(mutant, killed, time.monotonic() - began)


def _failure(tree: Path, suite: Sequence[str]) -> str:
    """The first test that fails in the suite, or the suite's name when it ends otherwise; "" when all pass."""
    name = suite[0] if len(suite) == 1 else f"{suite[0]} and others"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", "-q", "--no-header", "--tb=no", "-rfE"]
    command.append(f"--ignore={_OF_THE_LIST}")
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *suite], cwd=tree, env=environment, capture_output=True, text=True, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return f"{name} (does not end)"
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].split(" ", 1)[1].split(" - ")[0] if failed else f"{name} (exit status {done.returncode})"
