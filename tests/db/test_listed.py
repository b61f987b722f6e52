"""When a host listed all of its copies is written down where the list is compared with the records, and only there."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import host_lists, server_heartbeat
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import hosts, listening
from migrator.protocol import Facts, Poll
from migrator.scheduler import agents
from migrator.scheduler.hosts import audit, routine_polls
from migrator.scheduler.state.unlisted_hosts import UnlistedHosts
from migrator.scheduler.state.unseen_guests import SilentHosts
from migrator.settings import ServerSettings
from tests.api import seed

MACHINE = "00000000-0000-4000-8000-000000000001"
STRANGE = {"uuid": "55555555-5555-4555-8555-555555555555", "state": "teleporting"}
Take = Callable[[Database, Poll], Any]


def alone(db: Database, poll: Poll) -> None:
    agents.heartbeat(db, "compute1", poll, ServerSettings())


def in_a_group(db: Database, poll: Poll) -> None:
    assert routine_polls.take(db, {"compute1": poll, "compute2": poll}) == {"compute1": False, "compute2": False}


def polled(**told: Any) -> Poll:
    return Poll.model_validate({"incarnation": 1, "machine": MACHINE, **told})


def listed_s(db: Database, host: str = "compute1") -> float | None:
    query = select(server_heartbeat.clock_of(db.engine.dialect.name) - hosts.c.listed_at)
    with db.read() as connection:
        return connection.execute(query.where(hosts.c.name == host)).scalar_one()


@pytest.fixture(autouse=True)
def cluster(db: Database) -> None:
    """Two hosts that listed their copies an hour ago."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
    for host in ("compute1", "compute2"):
        seed.host(db, host, machine=MACHINE)
    with db.write() as connection:
        connection.execute(update(hosts).values(listed_at=server_heartbeat.clock_expression(connection) - 3600))


@pytest.mark.parametrize("take", [alone, in_a_group])
def test_a_poll_says_when_its_host_listed_its_copies_although_it_has_none(db: Database, take: Take) -> None:
    take(db, polled(copies=[]))
    assert (listed_s(db) or 0.0) < 60
    assert take is alone or (listed_s(db, "compute2") or 0.0) < 60


@pytest.mark.parametrize("take", [alone, in_a_group])
@pytest.mark.parametrize("told", [{}, {"copies": [STRANGE]}], ids=["no list", "a state that the server does not know"])
def test_a_poll_without_a_whole_list_leaves_the_time_of_the_last_one(
    db: Database, take: Take, told: dict[str, Any]
) -> None:
    take(db, polled(**told))
    assert (listed_s(db) or 0.0) > 3500


def test_facts_leave_the_time_of_the_last_list(db: Database) -> None:
    agents.accept_facts(db, "compute1", Facts(machine=MACHINE, facts=()))
    assert (listed_s(db) or 0.0) > 3500


def test_a_list_that_cannot_be_compared_leaves_the_time_of_the_last_one(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(audit, "audit", fails)
    alone(db, polled(copies=[]))
    assert (listed_s(db) or 0.0) > 3500


@pytest.mark.parametrize(("begun_s", "expected"), [(-60, "compute1"), (60, None)])
def test_hosts_without_a_list_are_named_to_what_began_before_the_servers_were_back(
    db: Database, begun_s: float, expected: str | None
) -> None:
    seed.host(db, "compute3", listed_at=None)
    seed.host(db, "compute4", listed_at=None, approved=False)
    alone(db, Poll.model_validate({"incarnation": 1, "machine": MACHINE}))
    agents.heartbeat(db, "compute2", polled(copies=[]), ServerSettings())
    with db.read() as connection:
        assert list(host_lists.unlisted(connection)) == ["compute1", "compute3"]
        unlisted, begun = UnlistedHosts(connection, ServerSettings()), now(connection) + begun_s
        found = [unlisted.first(begun), unlisted.first(begun, without="compute1"), unlisted.first(begun, only="n1")]
        third = "compute3" if expected else None
        assert [view.name if view is not None else None for view in found] == [expected, third, None]


@pytest.mark.parametrize(("listed_s", "silent"), [(25, ()), (35, ("compute1",))])
def test_a_short_service_down_time_makes_no_host_silent_between_two_lists(
    db: Database, listed_s: float, silent: tuple[str, ...]
) -> None:
    """Agents list their copies every 10 s, and one list may be late."""
    clock = server_heartbeat.clock_of(db.engine.dialect.name)
    with db.write() as connection:
        connection.execute(update(hosts).values(last_seen=clock, listed_at=clock))
        connection.execute(update(hosts).where(hosts.c.name == "compute1").values(listed_at=clock - listed_s))
        connection.execute(update(listening).values(since=listening.c.since - 7200))
        assert SilentHosts(connection, ServerSettings(service_down_time=10)).names == silent
