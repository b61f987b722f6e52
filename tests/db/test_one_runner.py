"""What the requests and the fact store refuse, so that an instance never runs twice; on both databases."""

from typing import Any

import pytest

from migrator.db import facts
from migrator.db.engine import Database
from migrator.db.tables import instances
from migrator.errors import Conflict
from migrator.protocol import Copy, DomainState, HostReport, Poll
from migrator.scheduler import agents, requests
from tests.bench import databases

CALLER = requests.Caller("admin", "admin", "req-test")


def stopped_instance(db: Database, host: str) -> str:
    uuid = databases.add_instances(db, 1)[0]
    with db.write() as connection:
        connection.execute(instances.update().values(host=host, vm_state="stopped", power_state=4))
    return uuid


def say(db: Database, host: str, uuid: str, state: DomainState) -> None:
    report: HostReport = databases.report()
    agents.register(db, host, 1, report)
    agents.heartbeat(db, host, Poll(incarnation=1, copies=(Copy(uuid=uuid, state=state),)))


@pytest.mark.parametrize(("state", "refused"), [(DomainState.RUNNING, True), (DomainState.SHUT_OFF, False)])
def test_a_copy_that_runs_elsewhere_forbids_a_start(db: Database, state: DomainState, refused: bool) -> None:
    uuid = stopped_instance(db, "host00000")
    say(db, "stray", uuid, state)
    if refused:
        with pytest.raises(Conflict, match="a copy of it runs on stray"):
            requests.start(db, CALLER, uuid)
    else:
        assert requests.start(db, CALLER, uuid) > 0


def test_a_fact_sent_twice_is_kept_once(db: Database) -> None:
    uuid = stopped_instance(db, "host00000")
    operation = requests.start(db, CALLER, uuid)
    fact: dict[str, Any] = {"epoch": 1, "phase": "start", "incarnation": 1, "sequence": 1, "body": {}}
    with db.write() as connection:
        assert facts.keep(connection, operation, "host00000", **fact)
        assert not facts.keep(connection, operation, "host00000", **fact)
