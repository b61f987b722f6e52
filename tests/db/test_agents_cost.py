"""What thousands of agents ask all day is asked of the database in few statements, each built once, and in one
transaction: how much that is decides how many hosts one server has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event

from migrator.db import credentials, host_domains, hosts, server_heartbeat, tables
from migrator.db.engine import Database
from migrator.errors import HostNotFound
from migrator.protocol import DomainEntry, DomainState, HostReport, Poll, Survey
from migrator.scheduler import agents
from migrator.scheduler.hosts import audit
from migrator.scheduler.state import surveys
from migrator.scheduler.state.questions import SurveyQuestions
from migrator.settings import ServerSettings
from tests import registering
from tests.api import seed

REPORT = HostReport(vcpus=8, memory_mb=16384, address="10.0.0.1", live_migration_uri="qemu+tcp://10.0.0.1/system")
HOSTS = ("n1", "n2", "n3")
MACHINE = "00000000-0000-4000-8000-00000000000"
ACTS = ("a poll", "its assignments", "a description", "questions", "a survey")
BOOT = "11111111-1111-4111-8111-111111111111"


@dataclass
class Asked:
    statements: list[str] = field(default_factory=list)
    built: set[int] = field(default_factory=set)  # the objects that they were made from
    kept: list[Any] = field(default_factory=list)  # so that no other gets the id of one of them
    commits: int = 0


@contextmanager
def noted(db: Database) -> Iterator[Asked]:
    found = Asked()

    def statement(_connection: Any, _cursor: Any, message: str, *_: Any) -> None:
        found.statements.append(message)

    def built(_connection: Any, clause: Any, *_: Any) -> None:
        found.built.add(id(clause))
        found.kept.append(clause)

    def committed(_connection: Any) -> None:
        found.commits += 1

    heard: dict[str, Callable[..., Any]] = {
        "before_cursor_execute": statement,
        "before_execute": built,
        "commit": committed,
    }
    for name, hear in heard.items():
        event.listen(db.engine, name, hear)
    try:
        yield found
    finally:
        for name, hear in heard.items():
            event.remove(db.engine, name, hear)


def machine(host: str) -> str:
    return MACHINE + host[-1]


def poll(db: Database, host: str, copies: tuple[DomainEntry, ...] | None = ()) -> None:
    agents.heartbeat(db, host, Poll(incarnation=1, machine=machine(host), boot=BOOT, copies=copies), ServerSettings())


def register(db: Database, host: str, token: str) -> None:
    registering.register(db, host, 1, REPORT, machine(host), token=token)


@pytest.fixture
def tokens(db: Database) -> dict[str, str]:
    """Three hosts whose agents have spoken before."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
    issued = {host: credentials.issue(db, host) for host in HOSTS}
    for host, token in issued.items():
        register(db, host, token)
        poll(db, host)
        surveys.accept(db, host, Survey(machine=machine(host)))
    return issued


def _acts(db: Database, tokens: dict[str, str]) -> dict[str, tuple[Callable[[str], Any], int, int]]:
    """What an agent wants -> (it, statements, transactions that write)."""
    settings = ServerSettings()
    return {
        "a poll": (lambda host: poll(db, host), 11, 1),
        "its assignments": (lambda host: agents.assignments(db, host, settings), 1, 0),
        "a description": (lambda host: register(db, host, tokens[host]), 11, 1),
        "questions": (SurveyQuestions(db, settings).of, 7, 0),
        "a survey": (lambda host: surveys.accept(db, host, Survey(machine=machine(host))), 4, 1),
    }


@pytest.mark.parametrize("name", ACTS)
def test_what_every_agent_wants_takes_few_statements_that_were_built_before(
    db: Database, tokens: dict[str, str], name: str
) -> None:
    act, statements, transactions = _acts(db, tokens)[name]
    act("n1")
    with noted(db) as first:
        act("n2")
    with noted(db) as second:
        act("n3")
    assert len(first.statements) <= statements, first.statements
    assert first.commits == transactions
    anew = [str(clause) for clause in second.kept if id(clause) not in first.built and "SAVEPOINT" not in str(clause)]
    assert not anew, "built for each host, which takes longer than asking"


def test_a_host_is_heard_though_its_copies_cannot_be_compared(
    db: Database, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is kept of what the comparison had written before it failed."""
    copy = DomainEntry(uuid=seed.IMAGE, state=DomainState.RUNNING)

    def fails(connection: Any, host: str, _copies: Any) -> Any:
        host_domains.replace(connection, host, [host_domains.HeldCopy(copy.uuid, copy.state.value)])
        raise RuntimeError("a defect")

    assert tokens
    with db.write() as connection:
        connection.execute(tables.hosts.update().values(last_seen=0.0))
    monkeypatch.setattr(audit, "audit", fails)
    poll(db, "n1", (copy,))
    with db.read() as connection:
        assert hosts.get(connection, "n1").silent_s < 60
        assert host_domains.of_host(connection, "n1") == {}


def test_a_host_that_nobody_knows_is_told_so(db: Database) -> None:
    with pytest.raises(HostNotFound):
        poll(db, "n1")
