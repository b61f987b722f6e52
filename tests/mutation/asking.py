"""Asks one suite of one tree, as a process of pytest, and says what its end means.

Owns that meaning: only a test that ran and failed is a failure. A process that a signal ended, a file that cannot be
imported or a fixture that cannot be set up is no word about the code. Never changes the tree.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_OF_THE_LIST = ("tests/unit/test_mutants.py",)  # it holds the list against the code, so it would notice every mutant
_LONGEST_S = 3600.0  # of one suite: a mutant that hangs it is noticed, too
_TESTS_FAILED, _COLLECTION_FAILED = 1, 2  # of pytest's exit statuses


class Verdict(Enum):
    PASSED = "passed"
    FAILED = "failed"  # a test ran and said no
    BROKEN = "broken"  # a test could not run: its file cannot be imported, or its fixture cannot be set up
    ENDED = "ended"  # the process ended without a word about the tests


@dataclass(frozen=True, slots=True)
class Answer:
    """``detail``: the test, the file, or how the process ended; "" when all passed."""

    verdict: Verdict
    detail: str = ""


def ask(tree: Path, suite: Sequence[str]) -> Answer:
    """The suite's answer about the tree, up to the first test that fails."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", "-q", "--no-header", "--tb=no", "-rfE"]
    command += [f"--ignore={path}" for path in _OF_THE_LIST]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *suite], cwd=tree, env=environment, capture_output=True, text=True, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return Answer(Verdict.FAILED, f"{suite[0]} (does not end)")
    return read(done.returncode, done.stdout)


def read(status: int, output: str) -> Answer:
    """What pytest's exit status and its summary mean."""
    if status == 0:
        return Answer(Verdict.PASSED)
    if status < 0:
        return Answer(Verdict.ENDED, f"a signal ended the tests: {signal.Signals(-status).name}")
    if status == _TESTS_FAILED and (failed := _first("FAILED", output)):
        return Answer(Verdict.FAILED, failed)
    if status in (_TESTS_FAILED, _COLLECTION_FAILED) and (broken := _first("ERROR", output)):
        return Answer(Verdict.BROKEN, broken)
    return Answer(Verdict.ENDED, f"pytest ended with status {status}")


def _first(word: str, output: str) -> str:
    found = re.search(rf"^{word} (.+?)(?: - .*)?$", output, re.MULTILINE)
    return found[1] if found else ""
