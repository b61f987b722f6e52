"""Removing a host: only one on which nothing is outstanding, and its agent does not come back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from migrator.alarms import AlarmKind
from migrator.db import alarms, claims, credentials, host_domains, surveys
from migrator.db import host_removal as rows
from migrator.db import hosts as host_rows
from migrator.db.engine import Database
from migrator.db.tables import agent_credentials, events, hosts
from migrator.db.tables import copies as copy_rows
from migrator.db.tables import surveys as survey_rows
from migrator.errors import HostNotFound, Unauthorized
from migrator.protocol import HostReport, KeptDisks, Poll, Survey
from migrator.scheduler import agents
from migrator.scheduler.hosts import removal
from migrator.scheduler.state import surveys as told
from migrator.settings import ServerSettings
from tests import registering
from tests.api import seed
from tests.api.harness import Web
from tests.api.seed import NOBODY

SERVICES = "/v2.1/os-services"
REPORT = HostReport(vcpus=8, memory_mb=1024, address="10.0.0.1", live_migration_uri="qemu+tcp://10.0.0.1/system")
POLL = Poll(incarnation=1).model_dump_json()
Leave = Callable[[Database], Any]


def ident(web: Web, version: str = "2.53") -> Any:
    (found,) = web("GET", f"{SERVICES}?host=compute1", version).json()["services"]
    return found["id"]


def delete(web: Web, version: str = "2.53", which: Any = None) -> Any:
    return web("DELETE", f"{SERVICES}/{ident(web, version) if which is None else which}", version)


def message(answer: Any) -> str:
    (only,) = answer.json().values()
    return str(only["message"])


def survey(db: Database, found: Survey) -> None:
    with db.write() as connection:
        surveys.upsert(connection, "compute1", found.model_dump(mode="json"))


def held(db: Database, believed: bool = True) -> None:
    with db.write() as connection:
        host_domains.replace(connection, "compute1", [host_domains.HeldCopy(NOBODY, "shutoff", believed=believed)])


def alarm(db: Database, kind: AlarmKind) -> None:
    with db.write() as connection:
        alarms.raise_alarm(connection, kind, "look there", host="compute1")


def claim(db: Database) -> None:
    with db.write() as connection:
        claims.own(connection, "compute1", NOBODY, 1, 1, 1)


def kept(db: Database) -> None:
    one = KeptDisks(instance=NOBODY, operation=NOBODY, pool="local", path="/local", files=("disk",), bytes=1)
    survey(db, Survey(kept=(one,)))


def evacuated(db: Database) -> None:
    """Its instance lives elsewhere, and only the cleaning up is left."""
    uuid = seed.instance(db, "vm", host="compute2")
    seed.migration(db, uuid, "done", kind="evacuation", phase="cleanup", locks_instance=False)


HOSTING = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
MOVING = (
    "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the instances"
)
OUTSTANDING: dict[str, tuple[Leave, str, str]] = {
    "instance": (lambda db: seed.instance(db, "vm"), HOSTING, "instance "),
    "source": (evacuated, MOVING, "operation 1 (evacuation)"),
    "destination": (
        lambda db: seed.migration(
            db, seed.instance(db, "vm", host="compute2"), "running", source="compute2", destination="compute1"
        ),
        MOVING,
        "operation 1 (live-migration)",
    ),
    "claim": (claim, "something is outstanding", f"a claim of {NOBODY}"),
    "copy": (held, "something is outstanding", f"a copy of {NOBODY} (shutoff)"),
    "kept disks": (kept, "something is outstanding", f"kept disks of {NOBODY}"),
    "alarm": (lambda db: alarm(db, AlarmKind.NO_RECORD), "something is outstanding", "alarm no-record: look there"),
}


@pytest.mark.parametrize("what", OUTSTANDING)
def test_a_host_on_which_something_is_outstanding_stays_and_the_answer_names_it(web: Web, what: str) -> None:
    leave, first, named = OUTSTANDING[what]
    leave(web.db)
    token = credentials.issue(web.db, "compute1")
    answer = delete(web)
    assert answer.status_code == 409
    assert first in message(answer)
    assert named in message(answer)
    with web.db.read() as connection:
        assert credentials.holders(connection)[credentials.digest(token)] == "compute1"
        assert connection.execute(select(hosts.c.name).order_by(hosts.c.name)).scalars().all() == [
            "compute1",
            "compute2",
        ]


@pytest.mark.parametrize("version", ["2.1", "2.53"])
def test_what_belongs_to_a_host_goes_with_it_and_history_keeps_its_name(web: Web, version: str) -> None:
    uuid = seed.instance(web.db, "vm", host="compute2")
    seed.migration(web.db, uuid)
    held(web.db, believed=False)  # a mere claim keeps no host, and nor does an alarm about its agent
    alarm(web.db, AlarmKind.UNPROVEN_CLAIM)
    survey(web.db, Survey())
    credentials.issue(web.db, "compute1")
    gone, other = ident(web, version), credentials.issue(web.db, "compute2")
    answer = delete(web, version)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [s["host"] for s in web("GET", SERVICES).json()["services"]] == ["compute2"]
    assert delete(web, version, gone).status_code == 404
    with web.db.read() as connection:
        for table in (copy_rows, survey_rows):
            assert connection.execute(select(table)).all() == []
        assert connection.execute(select(agent_credentials.c.host)).scalars().all() == ["compute2"]
        assert credentials.holders(connection) == {credentials.digest(other): "compute2"}
        assert alarms.listed(connection) == []
        assert "admin removed host compute1" in connection.execute(select(events.c.message)).scalars().all()
    (moved,) = web("GET", f"/v2.1/os-migrations?instance_uuid={uuid}").json()["migrations"]
    assert (moved["source_compute"], moved["dest_compute"]) == ("compute1", "compute2")


@pytest.mark.parametrize(
    ("version", "which", "status", "said"),
    [
        ("2.53", NOBODY, 404, f"Service {NOBODY} not found."),
        ("2.53", "1", 400, "Invalid uuid 1"),
        ("2.52", "99", 404, "Service 99 not found."),
        ("2.52", NOBODY, 400, "id must be an integer"),
        ("2.52", "9" * 5000, 404, "not found"),
        ("2.52", "%D9%A1", 400, "id must be an integer"),
    ],
)
def test_a_service_that_there_is_not(web: Web, version: str, which: str, status: int, said: str) -> None:
    answer = delete(web, version, which)
    assert answer.status_code == status
    assert said in message(answer)


def test_an_agent_of_a_removed_host_is_told_so_and_registers_nothing(web: Web) -> None:
    token = credentials.issue(web.db, "compute1")
    assert delete(web).status_code == 204
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = f'{{"incarnation": 1, "report": {REPORT.model_dump_json()}}}'
    for method, path, content in (("PUT", "", body), ("POST", "/poll", POLL), ("PUT", "/survey", "{}")):
        answer = web(method, f"/agent/v1/hosts/compute1{path}", None, headers=headers, content=content)
        assert answer.status_code == 401
        assert "its host was removed" in answer.text


def test_what_an_agent_had_begun_to_say_when_its_host_was_removed_leaves_nothing(web: Web) -> None:
    db, token = web.db, credentials.issue(web.db, "compute1")
    removal.remove(db, "compute1", "admin")
    with pytest.raises(Unauthorized, match="its host was removed"):
        registering.register(db, "compute1", 1, REPORT, token=token)
    with pytest.raises(HostNotFound):
        told.accept(db, "compute1", Survey())
    with pytest.raises(HostNotFound):
        agents.heartbeat(db, "compute1", Poll(incarnation=1, copies=()), ServerSettings())
    with pytest.raises(HostNotFound):
        removal.remove(db, "compute1", "admin")
    with db.read() as connection:
        assert connection.execute(select(hosts.c.name)).scalars().all() == ["compute2"]
        assert connection.execute(select(survey_rows)).all() == []


def test_nothing_is_claimed_or_registered_on_a_host_that_is_being_removed(web: Web) -> None:
    db, token = web.db, credentials.issue(web.db, "compute1")

    def take() -> bool:
        with db.write() as connection:
            return claims.take(connection, "compute1", NOBODY, None, 1, 1, 1)  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as threads:
        with db.write() as connection:
            rows.lock_credential(connection, "compute1")
            assert host_rows.lock(connection, ["compute1"])
            registered = threads.submit(registering.register, db, "compute1", 1, REPORT, token=token)
            claimed = threads.submit(take)
            rows.remove(connection, "compute1")
        with pytest.raises(Unauthorized):
            registered.result(30)
        assert not claimed.result(30)
    with db.read() as connection:
        assert connection.execute(select(hosts.c.name)).scalars().all() == ["compute2"]


def test_a_removed_host_comes_back_by_an_operators_word(web: Web) -> None:
    assert delete(web).status_code == 204
    token = credentials.issue(web.db, "compute1")
    registering.register(web.db, "compute1", 1, REPORT, token=token)
    assert delete(web).status_code == 204
