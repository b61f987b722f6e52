"""Which peers an agent is asked to look at in a large cluster, and how often that is read."""

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from migrator.db import server_heartbeat
from migrator.db.engine import Database
from migrator.db.tables import hosts
from migrator.scheduler.state.questions import PEERS_MAX, SurveyQuestions
from migrator.scheduler.state.surveys import FIRST_AT_ONCE
from migrator.settings import ServerSettings
from tests.api import seed
from tests.db.test_agents_cost import noted

NUMBER = PEERS_MAX + 20


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asked(db: Database, clock: Clock) -> SurveyQuestions:
    """Of a cluster whose host h0 has most free memory, h1 less, and so on."""
    with db.write() as connection:
        server_heartbeat.beat(connection)
    for number in range(NUMBER):
        seed.host(db, f"h{number}", free_memory_mb=1e6 - number)
    return SurveyQuestions(db, ServerSettings(), clock)


def peers(asked: SurveyQuestions, host: str) -> Sequence[str]:
    return [peer.name for peer in asked.of(host).peers]


def change(db: Database, host: str, **values: object) -> None:
    with db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == host).values(**values))


def first(number: int, *without: str) -> list[str]:
    names = (f"h{each}" for each in range(NUMBER))
    return sorted([name for name in names if name not in without][:number])


def test_a_host_is_asked_about_those_with_most_free_memory_and_never_about_itself(
    db: Database, asked: SurveyQuestions, clock: Clock
) -> None:
    assert peers(asked, "h3") == first(PEERS_MAX, "h3")
    assert peers(asked, f"h{NUMBER - 1}") == first(PEERS_MAX)
    change(db, "h0", disabled=True)
    clock.now += 2
    assert peers(asked, "h3") == first(PEERS_MAX, "h0", "h3")


def test_a_host_is_asked_first_about_the_destinations_of_its_moves(db: Database, asked: SurveyQuestions) -> None:
    last = f"h{NUMBER - 1}"
    uuid = seed.instance(db, "a", host="h3")
    seed.migration(db, uuid, "running", source="h3", destination=last)
    assert peers(asked, "h3") == sorted([last, *first(PEERS_MAX - 1, "h3")])
    assert peers(asked, "h4") == first(PEERS_MAX, "h4")
    change(db, last, last_seen=1.0)  # an unreachable host needs no probe
    assert peers(asked, "h3") == first(PEERS_MAX, "h3")


def test_what_all_hosts_are_asked_is_read_once_a_second(db: Database, asked: SurveyQuestions, clock: Clock) -> None:
    assert peers(asked, "h3") == first(PEERS_MAX, "h3")
    change(db, "h0", last_seen=1.0)
    with noted(db) as found:
        assert peers(asked, "h3") == first(PEERS_MAX, "h3")
    assert len(found.statements) <= 4, found.statements
    clock.now += 1.0
    assert peers(asked, "h3") == first(PEERS_MAX, "h0", "h3")


def test_in_a_small_cluster_it_is_read_for_each_host(db: Database, asked: SurveyQuestions) -> None:
    with db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.free_memory_mb <= 1e6 - FIRST_AT_ONCE).values(last_seen=1.0))
    assert peers(asked, "h3") == first(FIRST_AT_ONCE - 1, "h3")
    change(db, "h0", last_seen=1.0)
    assert peers(asked, "h3") == first(FIRST_AT_ONCE - 2, "h0", "h3")
