"""What the requests and the fact store refuse, so that an instance never runs twice; on both databases."""

from typing import Any

import pytest

from migrator.db import alarms, facts
from migrator.db.engine import Database
from migrator.db.tables import instances, operations
from migrator.errors import Conflict
from migrator.operations import Kind
from migrator.protocol import DomainEntry, DomainState, HostReport, Poll
from migrator.scheduler import agents
from migrator.scheduler.requests import requests
from migrator.settings import ServerSettings
from tests import registering
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


def stopped_instance(db: Database, host: str) -> str:
    uuid = databases.add_instances(db, 1)[0]
    with db.write() as connection:
        connection.execute(instances.update().values(host=host, vm_state="stopped", power_state=4))
    return uuid


def say(db: Database, host: str, uuid: str, state: DomainState) -> None:
    report: HostReport = databases.report()
    registering.register(db, host, 1, report)
    agents.heartbeat(db, host, Poll(incarnation=1, copies=(DomainEntry(uuid=uuid, state=state),)), ServerSettings())


def involve(db: Database, host: str, uuid: str) -> None:
    """An operation had to do with the host and the instance once, and is over."""
    with db.write() as connection:
        key = requests.begin(connection, CALLER, Kind.LIVE_MIGRATION, uuid, "host00000")
        ended = {"destination": host, "active": False, "status": "error", "finished_at": 1.0}
        connection.execute(operations.update().where(operations.c.id == key).values(**ended))
        connection.execute(instances.update().values(task_state=None))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (DomainState.RUNNING, "a copy of it runs on stray"),
        (DomainState.PAUSED, "a copy of it is paused on stray"),
        (DomainState.SHUT_OFF, ""),
    ],
)
def test_a_live_copy_elsewhere_forbids_a_start(db: Database, state: DomainState, message: str) -> None:
    uuid = stopped_instance(db, "host00000")
    involve(db, "stray", uuid)
    say(db, "stray", uuid, state)
    if message:
        with pytest.raises(Conflict, match=message):
            requests.start(db, CALLER, uuid)
    else:
        assert requests.start(db, CALLER, uuid) > 0


def test_a_host_that_never_had_the_instance_does_not_forbid_its_start(db: Database) -> None:
    uuid = stopped_instance(db, "host00000")
    say(db, "liar", uuid, DomainState.RUNNING)
    assert requests.start(db, CALLER, uuid) > 0
    with db.read() as connection:
        (alarm,) = alarms.listed(connection)
    assert (alarm.kind, alarm.host, (alarm.details or {})["instances"]) == ("unproven-claim", "liar", [uuid])


def test_a_fact_sent_twice_is_kept_once(db: Database) -> None:
    uuid = stopped_instance(db, "host00000")
    operation = requests.start(db, CALLER, uuid)
    fact: dict[str, Any] = {"epoch": 1, "phase": "start", "incarnation": 1, "sequence": 1, "body": {}}
    with db.write() as connection:
        assert facts.upsert(connection, operation, "host00000", **fact)
        assert not facts.upsert(connection, operation, "host00000", **fact)
