"""The servers' clock: how long there has been a server to speak to, whatever becomes of the database's clock."""

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms, hosts, registrations, server_heartbeat
from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import listening as table
from migrator.protocol import HostReport, Registration
from migrator.scheduler.state import database_clock
from migrator.scheduler.state.fencing import evidence, lapses_after
from migrator.settings import ServerSettings

LEASE_S = 60.0
HOUR = 3600.0


def seconds(db: Database) -> float:
    with db.read() as connection:
        return float(connection.execute(select(server_heartbeat.seconds(connection.dialect.name))).scalar_one())


def beat(db: Database) -> None:
    with db.write() as connection:
        server_heartbeat.beat(connection)


def no_beat_for(db: Database, passed_s: float) -> None:
    """The last beat was so long ago by the database's clock."""
    with db.write() as connection:
        connection.execute(update(table).values(alive_at=table.c.alive_at - passed_s))


class Servers:
    """One server, whose monotonic clock and whose database's clock are set by hand."""

    def __init__(self, db: Database) -> None:
        self.db, self.mono = db, 1000.0
        self.heartbeat = server_heartbeat.Heartbeat(lambda: self.mono)
        database_clock.beat(db, self.heartbeat)

    def passes(self, passed_s: float, by_database: float | None = None) -> None:
        """Time passes in beats; in the first of them the database's clock goes on by ``by_database``."""
        first = server_heartbeat.BEAT_S if by_database is None else by_database
        while passed_s > 0:
            self.mono += min(passed_s, server_heartbeat.BEAT_S)
            no_beat_for(self.db, first if passed_s > server_heartbeat.BEAT_S or by_database is not None else passed_s)
            database_clock.beat(self.db, self.heartbeat)
            passed_s, first, by_database = passed_s - server_heartbeat.BEAT_S, server_heartbeat.BEAT_S, None


@pytest.fixture
def servers(db: Database) -> Servers:
    return Servers(db)


def register(db: Database, lease_s: float = 0.0) -> None:
    report = HostReport(
        vcpus=1,
        memory_mb=1,
        address="10.0.0.1",
        live_migration_uri="qemu+tcp://10.0.0.1/system",
        self_fencing_lease_s=lease_s,
    )
    with db.write() as connection:
        before = registrations.known(connection, ["n1"])
        registrations.register(connection, {"n1": Registration(incarnation=1, report=report)}, before)


def silent_s(db: Database) -> float:
    with db.read() as connection:
        return float(hosts.get(connection, "n1").silent_s)


def opened(db: Database) -> list[str]:
    with db.read() as connection:
        return [row.message for row in alarms.listed(connection, kinds=[AlarmKind.CLOCK_STEPPED])]


def test_it_counts_from_the_first_beat_after_a_break(db: Database) -> None:
    assert seconds(db) > 1e9, "no server ever said that it listens: nothing is known against anybody's silence"
    beat(db)
    assert 0 <= seconds(db) < 10
    for _ in range(50):
        no_beat_for(db, server_heartbeat.STALE_S / 2)
        beat(db)
    assert 490 < seconds(db) < 520, "an unbroken line of beats"
    no_beat_for(db, server_heartbeat.STALE_S + 1)
    assert seconds(db) == 0, "overdue, before anybody noticed"
    beat(db)
    assert 0 <= seconds(db) < 10


def test_while_no_server_runs_the_clock_goes_on_with_the_databases(db: Database) -> None:
    beat(db)
    register(db)
    no_beat_for(db, HOUR)
    assert silent_s(db) <= server_heartbeat.AHEAD_S + 1, "nobody has looked yet"
    beat(db)
    assert silent_s(db) == pytest.approx(HOUR, abs=5)
    assert opened(db) == []


@pytest.mark.parametrize("step_s", [-HOUR, -10.0, 10.0, HOUR])
def test_a_clock_that_is_set_changes_no_silence_and_is_said_once(
    servers: Servers, step_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_clock, "SHOWN_S", 30.0)
    register(servers.db)
    servers.passes(20)
    before = silent_s(servers.db)
    no_beat_for(servers.db, server_heartbeat.BEAT_S + step_s)
    assert before - 1 <= silent_s(servers.db) <= before + server_heartbeat.AHEAD_S + 1, "before the next beat"
    no_beat_for(servers.db, -server_heartbeat.BEAT_S - step_s)
    servers.passes(5, by_database=5 + step_s)
    assert silent_s(servers.db) == pytest.approx(25, abs=3)
    assert seconds(servers.db) == pytest.approx(25, abs=3), "a step is no break"
    message = "forward" if step_s > 0 else "back"
    assert opened(servers.db) == [f"the database's clock was set {message} by {abs(step_s):.0f} s"]
    servers.passes(database_clock.SHOWN_S + 10)
    assert opened(servers.db) == []
    assert silent_s(servers.db) == pytest.approx(25 + database_clock.SHOWN_S + 10, abs=5)


def test_a_host_that_speaks_after_the_clock_was_set_back_is_heard_now(servers: Servers) -> None:
    register(servers.db)
    no_beat_for(servers.db, 2 - HOUR)  # set back, and no server has noticed yet
    with servers.db.write() as connection:
        hosts.seen(connection, "n1")
    no_beat_for(servers.db, HOUR - 2)
    servers.passes(5, by_database=5 - HOUR)
    assert silent_s(servers.db) < 10


@pytest.mark.parametrize("step_s", [-HOUR, HOUR])
def test_a_clock_that_is_set_neither_gives_nor_takes_the_evidence_of_a_lease(servers: Servers, step_s: float) -> None:
    register(servers.db, LEASE_S)
    servers.passes(200)
    with servers.db.write() as connection:
        hosts.seen(connection, "n1")
    servers.passes(70)
    assert not _lapsed(servers.db), "70 s is silent, and not past its lease"
    servers.passes(5, by_database=5 + step_s)
    assert not _lapsed(servers.db)
    servers.passes(lapses_after(LEASE_S) - 75 + 10)
    assert _lapsed(servers.db)
    servers.passes(5, by_database=5 + step_s)
    assert _lapsed(servers.db)


def test_time_without_a_server_lapses_no_lease(db: Database) -> None:
    """Only the database's clock tells how long it was, and that may have been set in between."""
    beat(db)
    register(db, LEASE_S)
    no_beat_for(db, HOUR)
    beat(db)
    assert not _lapsed(db)


def _lapsed(db: Database) -> bool:
    with db.read() as connection:
        found = evidence(hosts.get(connection, "n1"), ServerSettings())
    return found is not None and found.kind == "lease"


def test_two_servers_say_a_step_once_and_agree_afterwards(db: Database) -> None:
    mono = [1000.0]
    ours, theirs = (server_heartbeat.Heartbeat(lambda: mono[0]) for _ in range(2))
    _beats(db, mono, ours, 0)
    _beats(db, mono, theirs, 1)
    steps = [_beats(db, mono, ours, 4, 4 + HOUR), _beats(db, mono, theirs, 1), _beats(db, mono, ours, 5)]
    assert [round(step / 10) for step in steps] == [360, 0, 0]
    with db.read() as connection:
        assert connection.execute(select(table.c.steps)).scalar_one() == 1


def _beats(
    db: Database, mono: list[float], one: server_heartbeat.Heartbeat, passed_s: float, by_database: float | None = None
) -> float:
    mono[0] += passed_s
    no_beat_for(db, passed_s if by_database is None else by_database)
    with db.write() as connection:
        return one.beat(connection)


def test_what_is_shown_of_a_host_is_by_the_databases_clock(servers: Servers) -> None:
    register(servers.db)
    servers.passes(5, by_database=5 - HOUR)
    with servers.db.read() as connection:
        row, moment = hosts.get(connection, "n1"), now(connection)
    assert row.last_seen + row.silent_s + row.behind_s == pytest.approx(moment, abs=2)
