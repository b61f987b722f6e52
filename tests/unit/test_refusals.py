"""How often a refusal is told in the log."""

import logging

import pytest

from migrator.api.refusals import Counts, OncePerInterval, Refusals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_next_line_of_a_reason_tells_how_many_there_were_in_between(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refusals = Refusals(Counts(60, clock))
    for _ in range(1000):
        refusals.note("credentials", "x" * 10_000)
    refusals.note("host", "y")
    clock.now = 61
    refusals.note("credentials", "z")
    first, other, last = (record.getMessage() for record in caplog.records)
    assert len(first) < 300
    assert other == "refused, host: y"
    assert last == "refused, credentials: z (and 999 more since the last such line)"


def test_a_librarys_warnings_are_told_once_and_its_errors_always() -> None:
    clock = Clock()
    told = OncePerInterval(Counts(60, clock))

    def record(level: int, words: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", level, "", 0, words, (), None)

    assert [told.filter(record(logging.WARNING, "Invalid HTTP request received.")) for _ in range(3)] == [1, 0, 0]
    assert all(told.filter(record(logging.ERROR, "broken")) for _ in range(3))
    clock.now = 60
    again = record(logging.WARNING, "Invalid HTTP request received.")
    assert told.filter(again)
    assert again.getMessage() == "Invalid HTTP request received. (and 2 more since the last such line)"
