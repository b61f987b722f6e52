"""Waits of the tests: each waits for a state. Owns the bound after which a state counts as never reached.

A test names the seconds that a quiet machine needs at the most; the bound is ``PATIENCE`` times that, so that a machine
which is busy with other lanes still passes. Never sleeps for a time that a state could end.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from migrator.lab.process import PATIENCE as PATIENCE
from migrator.lab.process import log_tails

T = TypeVar("T")


def wait_for(done: Callable[[], T | None], seconds: float, what: str = "", logs: Iterable[Path] = ()) -> T:
    """The first truthy answer of ``done``.

    Raises AssertionError after ``PATIENCE * seconds``. It names ``what`` and the last answer, and has the end of each
    of ``logs``, which are those of the servers that bring the state about.
    """
    bound = PATIENCE * seconds
    deadline = time.monotonic() + bound
    while not (answer := done()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {bound:.0f} s for {what or done}; last answer: {answer!r}{log_tails(logs)}")
        time.sleep(0.05)
    return answer


def soon(began: float, seconds: float) -> bool:
    """Whether no more than ``PATIENCE * seconds`` have passed since ``began`` (of ``time.monotonic``): for a call that
    must not hang, whose failure takes far longer than that."""
    return time.monotonic() - began < PATIENCE * seconds
