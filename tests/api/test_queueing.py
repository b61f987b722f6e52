"""Who goes first among the live migrations that leave one host, and that no migration is admitted twice."""

from dataclasses import replace

import pytest

from migrator.db.engine import Database
from migrator.errors import ConcurrentUpdate
from migrator.scheduler.decision.snapshot import Plan
from migrator.scheduler.queues import outbound
from migrator.scheduler.state import loader
from migrator.settings import ServerSettings
from tests.api import seed


def queued(db: Database, **more: object) -> int:
    uuid = seed.instance(db, "a", task_state="migrating")
    return seed.migration(db, uuid, "queued", **({"phase": "claim", "destination": None} | more))


OTHERS = [
    ({"phase": "check"}, 1),
    ({"phase": "transfer"}, 1),
    ({"phase": "transfer", "forward": False}, 1),  # its transfer may not have ended yet
    ({"phase": "prepare", "forward": False}, 0),
    ({"phase": "commit"}, 0),
    ({"phase": "cleanup"}, 0),
    ({"phase": "inspect"}, 0),
    ({"phase": "transfer", "source": "compute2"}, 0),
    ({"phase": "transfer", "active": False}, 0),
    ({"phase": "transfer", "locks_instance": False}, 0),
    ({"phase": "copy", "kind": "migration"}, 0),
]


@pytest.mark.parametrize(("other", "count"), OTHERS)
def test_who_goes_first(db: Database, other: dict[str, object], count: int) -> None:
    queued(db, **other)
    mine = queued(db)
    later = queued(db)
    with db.read() as connection:
        assert outbound.ahead(connection, mine, "compute1") == count
        assert outbound.ahead(connection, later, "compute1") == count + 1


@pytest.mark.parametrize(("limit", "admitted"), [(1, False), (2, True), (0, True)])
def test_one_who_was_overtaken_is_not_admitted(db: Database, limit: int, admitted: bool) -> None:
    """It was the next one when it was looked at; another one took the place before its claim was written."""
    seed.host(db, "compute1")
    seed.host(db, "compute2")
    mine = queued(db)
    settings = ServerSettings(database=db.url, max_concurrent_live_migrations=limit)
    with db.read() as connection:
        snapshot = loader.snapshot(connection, mine, settings)
    queued(db, phase="check", destination="compute2")
    with db.write() as connection:
        try:
            outbound.admit(connection, replace(snapshot, ahead=0), Plan(destination="compute2"))
            found = True
        except ConcurrentUpdate:
            found = False
    assert found is admitted
