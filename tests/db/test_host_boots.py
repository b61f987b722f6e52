"""Which boot of a host was seen last, and what counts as a reboot; on both databases."""

from sqlalchemy import select, update

from migrator.db import hosts
from migrator.db.engine import Database
from migrator.db.tables import alarms
from migrator.db.tables import hosts as rows
from migrator.scheduler import agents, host_boots
from tests.bench import databases

FIRST, SECOND = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001", "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"


def told(db: Database, boot: str) -> bool:
    with db.write() as connection:
        hosts.lock(connection, ["n1"])
        return host_boots.noted(connection, "n1", boot)


def test_another_boot_than_the_last_one_is_a_reboot_for_a_while(db: Database) -> None:
    agents.register(db, "n1", 1, databases.report())
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
    agents.register(db, "n1", 1, report.model_copy(update={"warnings": ("libvirt-guests is enabled",)}))
    assert raised() == ["n1: libvirt-guests is enabled"]
    agents.register(db, "n1", 1, report)
    assert raised() == []
