"""The fence command: run once for a silent host of which an evacuation wants evidence, whatever becomes of it."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.api.identity import strategies
from migrator.api.process.services import Services, build
from migrator.db import fencing, hosts
from migrator.db.engine import Database
from migrator.db.tables import events, operations
from migrator.db.tables import hosts as host_rows
from migrator.server.fence_runner import FenceRunner, arguments, run
from migrator.settings import ServerSettings, load
from tests.api import seed

LOST = "compute3"


class Site:
    """``compute3`` is silent, and an evacuation away from it waits for evidence."""

    def __init__(self, db: Database, tmp_path: Path) -> None:
        self.db, self.tmp_path = db, tmp_path
        self.ran = tmp_path / "ran"
        self.stop = threading.Event()
        seed.host(db, "compute1")
        seed.host(db, LOST, last_seen=seed.BEGAN, fence_address="10.0.0.3")
        self.operation = self.evacuation("a")

    def evacuation(self, name: str, **more: Any) -> int:
        uuid = seed.instance(self.db, name, host=LOST)
        wanted = {"kind": "evacuation", "phase": "fence", "source": LOST, "destination": "compute1"}
        return seed.migration(self.db, uuid, "pre-migrating", **wanted | more)

    def script(self, text: str, before: str = "") -> str:
        """A command that notes each run, and then does ``text``."""
        path = self.tmp_path / "fence"
        path.write_text(f"#!/bin/sh\n{before}\necho run >> {self.ran}\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def runs(self) -> int:
        return len(self.ran.read_text().splitlines()) if self.ran.exists() else 0

    def services(self, command: str, **more: Any) -> Services:
        settings = ServerSettings(database=self.db.url, fence_command=command, sweep_interval=0.1, **more)
        return build(settings, strategies.rules(settings))

    def look(self, command: str, **more: Any) -> None:
        services = self.services(command, **more)
        FenceRunner(services, self.stop).check_hosts()
        services.db.close()

    def host(self) -> Any:
        with self.db.read() as connection:
            return hosts.get(connection, LOST)

    def row(self, operation: int | None = None) -> Any:
        query = select(operations).where(operations.c.id == (operation or self.operation))
        with self.db.read() as connection:
            return connection.execute(query).one()

    def lines(self) -> list[str]:
        query = select(events.c.message).where(events.c.operation_id == self.operation, events.c.name == "fence")
        with self.db.read() as connection:
            return list(connection.execute(query.order_by(events.c.id)).scalars())

    def change(self, **values: Any) -> None:
        with self.db.write() as connection:
            connection.execute(update(host_rows).where(host_rows.c.name == LOST).values(**values))


@pytest.fixture
def site(db: Database, tmp_path: Path) -> Site:
    return Site(db, tmp_path)


def test_a_success_is_evidence_and_the_evacuation_goes_on(site: Site) -> None:
    site.look(site.script('echo noise; echo "$1 at $2 is off"'))
    assert site.host().fencing["kind"] == "fence_command"
    assert site.host().fencing["words"] == f"{LOST} at 10.0.0.3 is off"
    assert site.row().phase == "rebuild"
    begun, ended = site.lines()
    assert begun.startswith(f"running the fence command for {LOST}")
    assert ended == f"the fence command for {LOST} succeeded: {LOST} at 10.0.0.3 is off"
    site.look(site.script("echo again"))
    assert site.runs() == 1, "there is evidence"


def test_a_failure_ends_the_evacuation_and_a_new_one_tries_again(site: Site) -> None:
    command = site.script("echo no route to the power switch >&2; exit 3")
    site.look(command)
    message = "exit code 3; no route to the power switch"
    assert (site.host().fence_attempt["ok"], site.host().fence_attempt["words"]) == (False, message)
    assert site.host().fencing is None
    assert site.row().error["message"].endswith(message)
    assert site.row().forward is False or not site.row().active
    site.look(command)
    assert site.runs() == 1, "what waited for it knows that it failed"
    later = site.evacuation("b", phase_since=time.time() + 1)
    site.look(command)
    assert site.runs() == 2
    assert site.row(later).active


@pytest.mark.parametrize(
    ("reason", "host", "operation"),
    [
        ("heard", {"last_seen": 4_000_000_000.0}, {}),
        ("forced down", {"forced_down": True, "fencing": {"kind": "forced_down", "at": 4_000_000_000.0}}, {}),
        ("in an earlier phase", {}, {"phase": "check"}),
        ("on its way back", {}, {"forward": False}),
        ("over", {}, {"active": False}),
        ("no evacuation", {}, {"kind": "migration", "phase": "stop"}),
    ],
)
def test_not_run(site: Site, reason: str, host: Any, operation: Any) -> None:
    if host:
        site.change(**host)
    if operation:
        with site.db.write() as connection:
            connection.execute(update(operations).values(**operation))
    site.look(site.script("exit 0"))
    assert site.runs() == 0, reason


def test_without_a_command_nothing_is_run(site: Site) -> None:
    site.look("")
    assert site.host().fence_attempt is None


def test_two_servers_run_it_once(site: Site) -> None:
    command = site.script("sleep 0.5; echo off")
    servers = [site.services(command) for _ in range(2)]
    at_it = [threading.Thread(target=FenceRunner(server, site.stop).check_hosts) for server in servers]
    for thread in at_it:
        thread.start()
    for thread in at_it:
        thread.join(20)
    for server in servers:
        server.db.close()
    assert site.runs() == 1
    assert site.host().fencing["words"] == "off"


def test_a_command_that_hangs_is_killed_with_what_it_started(site: Site) -> None:
    pid = site.tmp_path / "pid"
    command = site.script(f"echo thinking; sleep 60 & echo $! > {pid}; wait")
    began = time.monotonic()
    site.look(command, fence_timeout=0.7)
    assert time.monotonic() - began < 10
    assert site.host().fence_attempt["words"] == "killed after 0.7 s; thinking"
    assert is_gone(int(pid.read_text()))


def test_a_command_that_leaves_something_behind_is_not_waited_for(site: Site) -> None:
    began = time.monotonic()
    site.look(site.script("sleep 3 & echo off"))
    assert time.monotonic() - began < 3
    assert site.host().fencing["words"] == "off"


def test_a_server_that_stops_leaves_the_run_to_the_next_one(site: Site) -> None:
    services = site.services(site.script("sleep 60"))
    keeper = threading.Thread(target=FenceRunner(services, site.stop).run)
    keeper.start()
    until(lambda: site.runs() == 1)
    assert site.host().fence_attempt["ok"] is None
    site.stop.set()
    keeper.join(5)
    assert not keeper.is_alive()
    services.db.close()
    assert site.host().fence_attempt is None
    assert site.row().phase == "fence"
    site.stop.clear()
    site.look(site.script("echo off"))
    assert site.row().phase == "rebuild"


def test_the_keeper_outlives_a_database_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    services = site.services(site.script("echo off"))
    real = fencing.waiting_operations
    failures: list[int] = []

    def fails_first(*given: Any) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise RuntimeError("the database went away")
        return real(*given)

    monkeypatch.setattr(fencing, "waiting_operations", fails_first)
    keeper = threading.Thread(target=FenceRunner(services, site.stop).run)
    keeper.start()
    until(lambda: site.row().phase == "rebuild")
    site.stop.set()
    keeper.join(5)
    services.db.close()
    assert len(failures) == 2


def is_gone(pid: int) -> bool:
    for _ in range(50):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def until(locks_instance: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not locks_instance():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- the command itself: no database --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fence", ["fence", "n3", "10.0.0.3"]),
        ("fence --off", ["fence", "--off", "n3", "10.0.0.3"]),
        ("fence {host}", ["fence", "n3"]),
        ("ipmi -H {address} 'power off'", ["ipmi", "-H", "10.0.0.3", "power off"]),
        ("fence --node={host}@{address}", ["fence", "--node=n3@10.0.0.3"]),
        ("fence '{host} $(reboot)'", ["fence", "n3 $(reboot)"]),
    ],
)
def test_arguments(command: str, message: list[str]) -> None:
    assert arguments(command, "n3", "10.0.0.3") == message


def test_without_an_operators_address_none_is_appended_and_none_is_made_up() -> None:
    """What the host says of itself is another machine's, or an option: it was shot, and counted as evidence."""
    assert arguments("fence --off", "n3", "") == ["fence", "--off", "n3"]
    outcome = run("fence -H {address}", "n3", "", 5, threading.Event())
    assert outcome is not None
    assert (outcome.ok, "migrator host-fence n3 --address" in outcome.message) == (False, True)


@pytest.mark.parametrize("hostile", ["--action=on", "-x"])
def test_a_name_or_an_address_that_would_pass_for_an_option_is_not_run(hostile: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for host, address in ((hostile, "10.0.0.3"), ("n3", hostile)):
        outcome = run(f"touch {ran} {{host}} {{address}}", host, address, 5, threading.Event())
        assert outcome is not None
        assert (outcome.ok, "option" in outcome.message, ran.exists()) == (False, True, False)


def test_the_address_is_the_operators_and_not_what_the_host_says_of_itself(site: Site) -> None:
    with site.db.write() as connection:
        connection.execute(host_rows.update().where(host_rows.c.name == LOST).values(fence_address=None))
    site.look(site.script('echo "$2" | grep -qx 10.9.9.9') + " {host} {address}", fence_addresses={LOST: "10.9.9.9"})
    assert site.host().fencing["kind"] == "fence_command"


def test_its_environment_and_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_DATABASE", "postgresql://user:secret@db/migrator")
    monkeypatch.setenv("PGPASSWORD", "secret")
    code = "import os,sys,json; print(json.dumps([dict(os.environ), sys.stdin.read()]))"
    outcome = run(f'{sys.executable} -c "{code}" {{host}}', "n3", "10.0.0.3", 30, threading.Event())
    assert outcome is not None
    assert outcome.ok, outcome.message
    environment, given = json.loads(outcome.message)
    ours = {name: value for name, value in environment.items() if name.startswith("MIGRATOR_")}
    assert ours == {"MIGRATOR_HOST": "n3", "MIGRATOR_ADDRESS": "10.0.0.3"}
    assert "secret" not in environment.values()
    assert given == ""


def test_a_command_that_is_not_there_failed() -> None:
    outcome = run("/nowhere/fence", "n3", "", 5, threading.Event())
    assert outcome is not None
    assert not outcome.ok
    assert "could not be started" in outcome.message


def test_a_quotation_without_an_end_stops_the_start() -> None:
    with pytest.raises(Exception, match=r"fence_command: No closing quotation"):
        load(ServerSettings, fence_command="fence 'n3")
