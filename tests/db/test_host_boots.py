"""Which boot of a host was seen last, and what counts as a reboot; on both databases."""

from sqlalchemy import select, update

from migrator.db import host_domains, hosts
from migrator.db.engine import Database
from migrator.db.host_domains import HeldCopy
from migrator.db.tables import alarms, events, operations
from migrator.db.tables import hosts as rows
from migrator.scheduler.requests import host_boots
from tests import registering
from tests.api import seed
from tests.bench import databases

FIRST, SECOND = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001", "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"


def told(db: Database, boot: str) -> bool:
    with db.write() as connection:
        hosts.lock(connection, ["n1"])
        return host_boots.noted(connection, "n1", boot)


def test_another_boot_than_the_last_one_is_a_reboot_for_a_while(db: Database) -> None:
    registering.register(db, "n1", 1, databases.report())
    assert not told(db, ""), "an agent of an earlier release does not say"
    assert not told(db, FIRST), "the first one that is told"
    assert not told(db, FIRST)
    assert told(db, SECOND)
    assert told(db, SECOND)
    assert not told(db, "")
    with db.write() as connection:
        connection.execute(update(rows).values(resume_until=rows.c.resume_until - host_boots.WITHIN_S))
    assert not told(db, SECOND)
    assert told(db, FIRST)


def test_a_setup_that_endangers_instances_is_an_alarm_until_it_is_mended(db: Database) -> None:
    def raised() -> list[str]:
        with db.read() as connection:
            query = select(alarms.c.message).where(alarms.c.kind == "host-setup", alarms.c.cleared_at.is_(None))
            return list(connection.execute(query).scalars())

    report = databases.report()
    registering.register(db, "n1", 1, report.model_copy(update={"warnings": ("libvirt-guests is enabled",)}))
    assert raised() == ["n1: libvirt-guests is enabled"]
    registering.register(db, "n1", 1, report)
    assert raised() == []


def started(db: Database, *stopped: str) -> list[str]:
    """Instances for which an operation begins when their host, compute1, was rebooted."""
    with db.write() as connection:
        host_boots.resume(connection, "compute1", stopped)
        query = select(operations.c.instance_uuid).where(operations.c.kind == "start")
        return list(connection.execute(query).scalars())


def test_a_guest_that_runs_elsewhere_is_not_started_and_the_others_are(db: Database) -> None:
    for host in ("compute1", "compute2"):
        seed.host(db, host)
    torn, whole = (seed.instance(db, name, host="compute1", vm_state="stopped", power_state=4) for name in "ab")
    with db.write() as connection:
        host_domains.replace(connection, "compute2", [HeldCopy(torn, "running")])
    assert started(db, torn, whole) == [whole]
    with db.read() as connection:
        said = connection.execute(select(events.c.message).where(events.c.instance_uuid == torn)).scalars().all()
    assert any("compute1 was rebooted, and the guest is not started again" in message for message in said)


def test_a_host_that_is_forced_down_starts_no_guest(db: Database) -> None:
    seed.host(db, "compute1", forced_down=True)
    assert started(db, seed.instance(db, "a", host="compute1", vm_state="stopped", power_state=4)) == []
