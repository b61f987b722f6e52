"""How often a refusal is told in the log."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from migrator.api.process.refusal_log import OncePerInterval, Refusals, limit_logs_of_messages
from migrator.log_limits import Counts
from migrator.protocol import Fact, Facts
from migrator.scheduler import agents
from migrator.scheduler.hosts import machines
from migrator.scheduler.state import questions


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

    def record(level: int, message: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", level, "", 0, message, (), None)

    assert [told.filter(record(logging.WARNING, "Invalid HTTP request received.")) for _ in range(3)] == [1, 0, 0]
    assert all(told.filter(record(logging.ERROR, "broken")) for _ in range(3))
    clock.now = 60
    again = record(logging.WARNING, "Invalid HTTP request received.")
    assert told.filter(again)
    assert again.getMessage() == "Invalid HTTP request received. (and 2 more since the last such line)"


@pytest.fixture
def limited() -> Iterator[None]:
    names = ("uvicorn.error", agents.__name__, questions.__name__)
    before = {name: list(logging.getLogger(name).filters) for name in names}
    limit_logs_of_messages()
    yield
    for name, filters in before.items():
        logging.getLogger(name).filters[:] = filters


@pytest.mark.usefixtures("limited")
def test_what_is_wrong_with_agents_words_is_told_once_a_minute_with_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(machines, "check", lambda *_: None)
    monkeypatch.setattr(agents, "_accept", broken)
    fact = Fact(operation_id="a", epoch=1, phase="x", incarnation=1, sequence=1)
    for _ in range(20):
        assert agents.accept_facts(None, "n1", Facts(facts=(fact, fact))) == []  # type: ignore[arg-type]
    first, second = caplog.records
    assert first.exc_info
    assert (first.levelname, second.levelname) == ("ERROR", "ERROR")
    assert "cannot be stored together" in first.getMessage()
