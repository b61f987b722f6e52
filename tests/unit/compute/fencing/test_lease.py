"""The self-fencing lease: what it promises, how it survives its agent, and how guests and host are stopped by it."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from migrator.compute.agent import lease_registration
from migrator.compute.agent.client import ServerClient
from migrator.compute.driver import Driver
from migrator.compute.fencing.lease import Lease
from migrator.compute.fencing.self_fencing import LeaseLapsed, SelfFencing, leased
from migrator.compute.fencing.watchdog import Watchdog
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.errors import DriverError, HypervisorUnavailable, ServerUnreachable, SettingInvalid
from migrator.protocol import Copy, DomainState, HostReport, InstanceSpec
from migrator.settings import AgentSettings, load

LENGTH = 300.0
REPORT = HostReport(vcpus=1, memory_mb=1024, address="n1", live_migration_uri="qemu+tcp://n1/system")
SPEC = InstanceSpec(uuid="u", name="u", vcpus=1, memory_mb=64)


class Site:
    """A host with a clock of its own, one boot after another, and an agent that comes and goes."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.now, self.boot = path, 1000.0, "boot-1"
        if path is not None:  # its agent ran before, without a lease
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"host": "n1", "boot": self.boot, "contact": self.now, "believed": []}))

    def lease(self, wanted_s: float = LENGTH, host: str = "n1") -> Lease:
        return Lease(self.path, wanted_s, lambda: self.now, self.boot, host)

    def told(self, wanted_s: float = LENGTH) -> Lease:
        lease = self.lease(wanted_s)
        lease.promise()
        lease.promised(wanted_s)
        return lease


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state" / "lease")


# --- time -----------------------------------------------------------------------------------------------------------


def test_it_is_counted_from_the_sending_of_the_last_answered_poll(site: Site) -> None:
    lease = site.told()
    sent = site.now = 1200.0
    site.now = 1225.0  # the answer took its time
    lease.renew(sent)
    site.now = sent + LENGTH
    assert not lease.lapsed()
    site.now += 0.001
    assert lease.lapsed()


def test_without_a_promise_nothing_lapses(site: Site) -> None:
    lease = site.lease()
    site.now += 10**9
    assert not lease.lapsed()
    lease.promise()
    assert not lease.lapsed(), "the count begins with the promise"
    off = Site(None).told(0)
    assert off.length_s == 0
    assert not off.lapsed()


def test_a_promise_that_stands_needs_no_room_on_the_disk(site: Site) -> None:
    """A host that describes itself anew, and whose disk is full, would fall silent and stop its guests for that."""
    lease = site.told()
    assert site.path is not None
    site.path.with_suffix(".new").mkdir()  # nothing can be written there
    site.now += 10
    lease.renew(site.now)
    lease.promise()
    lease.promised(LENGTH)
    with pytest.raises(OSError, match="directory"):
        lease.promised(LENGTH / 2)


def test_a_promise_is_kept_for_the_boot_that_it_is_given_in(site: Site) -> None:
    site.told()
    site.boot, site.now = "boot-2", 5.0
    site.told()
    site.now += LENGTH + 1
    assert site.lease().lapsed(), "the agent died at once, and the next one is of the same boot"


def test_once_lapsed_it_is_lapsed_until_the_guests_are_stopped(site: Site) -> None:
    lease = site.told()
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.renew(site.now)
    assert lease.lapsed(), "the guests may run elsewhere by now"
    lease.stopped()
    assert not lease.lapsed(), "heard meanwhile"
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.stopped()
    assert lease.lapsed(), "not heard since"


def test_a_promise_counts_before_the_server_has_answered(site: Site) -> None:
    lease = site.lease()
    lease.promise()
    site.now += LENGTH + 1
    assert lease.lapsed()


@pytest.mark.parametrize(("old", "new", "meanwhile"), [(300, 600, 300), (600, 300, 300), (300, 0, 300)])
def test_of_two_lengths_that_the_server_may_believe_the_shorter_counts(
    site: Site, old: float, new: float, meanwhile: float
) -> None:
    site.told(old)
    lease = site.lease(new)
    assert lease.length_s == old
    lease.promise()
    assert lease.length_s == meanwhile
    lease.promised(new)
    assert lease.length_s == new


@pytest.mark.parametrize(("old", "new", "lapses"), [(300, 600, 300), (600, 300, 300), (300, 0, 300)])
def test_while_the_server_may_believe_either_length_guests_stop_after_the_shorter(
    site: Site, old: float, new: float, lapses: float
) -> None:
    site.told(old)
    lease = site.lease(new)
    lease.promise()
    site.now += lapses
    assert not lease.lapsed()
    site.now += 0.001
    assert lease.lapsed()


# --- across agents ----------------------------------------------------------------------------------------------------


def test_a_restarted_agent_finds_it_lapsed(site: Site) -> None:
    site.told()
    site.now += LENGTH + 1
    assert site.lease().lapsed()
    assert site.lease(0).lapsed(), "whatever the setting says now"


def test_a_restarted_agent_counts_on(site: Site) -> None:
    lease = site.told()
    site.now += 200
    lease.renew(site.now)
    site.now += 200
    again = site.lease()
    assert not again.lapsed()
    site.now += 101
    assert again.lapsed()


def test_what_is_kept_is_never_newer_than_the_truth(site: Site) -> None:
    lease = site.told()
    assert site.path is not None
    for _ in range(200):
        site.now += 3
        lease.renew(site.now)
        kept = json.loads(site.path.read_text())["contact"]
        assert site.now - LENGTH / 10 < kept <= site.now
    writes = site.path.stat().st_ino
    site.now += 1
    lease.renew(site.now)
    assert site.path.stat().st_ino == writes, "not written at each poll"


def test_a_poll_that_was_answered_while_lapsed_is_not_kept(site: Site) -> None:
    lease = site.told()
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.renew(site.now)
    assert site.lease().lapsed(), "killed before it had stopped the guests"


def test_after_a_reboot_it_has_lapsed_until_the_server_is_heard_and_nothing_runs(site: Site) -> None:
    """Nothing runs that ran before; what somebody started since, as libvirt-guests does, is stopped."""
    site.told()
    site.boot, site.now = "boot-2", 5.0
    lease = site.lease()
    assert lease.lapsed()
    lease.stopped()
    assert lease.lapsed(), "the server has not been heard"
    lease.renew(site.now)
    lease.stopped()
    assert not lease.lapsed()
    assert lease.length_s == LENGTH
    site.now += LENGTH + 1
    assert lease.lapsed()


def test_a_reboot_without_a_promise_lapses_nothing(site: Site) -> None:
    site.boot, site.now = "boot-2", 5.0
    assert not site.told().lapsed()


@pytest.mark.parametrize("registers", [True, False])
def test_a_lost_file_counts_as_lapsed(site: Site, registers: bool) -> None:
    site.told().renew(site.now)
    assert site.path is not None
    site.path.unlink()
    lease = site.lease()
    if registers:
        lease.promise()  # tried, and the server does not answer
    assert lease.lapsed()
    assert site.lease().lapsed(), "nor does a second start help"


def test_a_first_start_needs_nothing_but_the_server(tmp_path: Path) -> None:
    """Nothing of ours runs, so nothing is stopped; and nothing is started before the server was heard."""
    site = Site(None)
    site.path = tmp_path / "new" / "lease"
    lease = site.told()
    assert lease.lapsed()
    lease.renew(site.now)
    lease.stopped()
    assert not lease.lapsed()


def test_an_agent_without_a_lease_keeps_that_nothing_was_promised(tmp_path: Path) -> None:
    site = Site(None)
    site.path = tmp_path / "lease"
    site.told(0)
    assert not site.told(LENGTH).lapsed(), "the setting is new, and guests that run go on"


def test_a_lease_under_another_name_is_not_renewed(site: Site) -> None:
    site.told()
    site.now += 20
    again = site.lease(host="n9")
    again.promise()
    again.promised(LENGTH)
    while site.now < 1000 + LENGTH:
        again.renew(site.now)
        assert not again.lapsed()
        site.now += 30
    again.renew(site.now)
    assert again.lapsed(), "for the server n1's has lapsed"
    assert site.lease(host="n9").lapsed(), "a restarted agent knows, too"
    again.stopped()
    again.renew(site.now)
    assert not again.lapsed()
    site.now += LENGTH / 2
    assert not again.lapsed()


def test_a_file_of_the_release_before_is_believed(site: Site) -> None:
    assert site.path is not None
    site.path.write_text(json.dumps({"boot": "boot-1", "contact": 990.0, "believed": [LENGTH]}))
    assert not site.lease().lapsed()
    assert site.lease().length_s == LENGTH


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"boot": "boot-1"}'])
def test_a_damaged_file_counts_as_lapsed(site: Site, damage: str) -> None:
    site.told()
    assert site.path is not None
    site.path.write_text(damage)
    assert site.lease().lapsed()


def test_a_disk_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = site.told()
    monkeypatch.setattr("os.replace", full)
    site.now += 200
    lease.renew(site.now)
    assert not lease.lapsed(), "the running agent knows better than the file"
    with pytest.raises(OSError, match="full"):
        lease.promised(0)
    site.now += 200
    assert site.lease().lapsed(), "the file is older, and on the safe side"


def full(*_given: Any) -> None:
    raise OSError("full")


# --- telling the server ---------------------------------------------------------------------------------------------


class Server:
    def __init__(self, lease: Lease) -> None:
        self.lease, self.told = lease, [-1.0]
        self.down = False
        self.length_when_asked = -1.0

    async def register(self, _incarnation: int, report: HostReport) -> None:
        self.length_when_asked = self.lease.length_s
        if self.down:
            raise ServerUnreachable("down")
        self.told.append(report.self_fencing_lease_s)


def register(server: Server) -> None:
    asyncio.run(
        lease_registration.register(cast(ServerClient, server), LineJournal(MemoryMedium([])), REPORT, server.lease)
    )


def withdraw(server: Server, report: HostReport | None = REPORT) -> bool:
    return asyncio.run(lease_registration.withdraw(cast(ServerClient, server), 1, report, server.lease, {}))


def test_it_is_promised_before_it_is_told_and_withdrawn_after(site: Site) -> None:
    server = Server(site.lease())
    register(server)
    assert (server.told[-1], server.length_when_asked) == (LENGTH, LENGTH)
    assert withdraw(server)
    assert (server.told[-1], server.length_when_asked, server.lease.length_s) == (0.0, LENGTH, 0.0)
    site.now += LENGTH + 1
    assert not site.lease().lapsed(), "an agent that was stopped in peace leaves its guests alone"


def test_a_lease_that_cannot_be_withdrawn_stands(site: Site) -> None:
    server = Server(site.lease())
    register(server)
    server.down = True
    assert not withdraw(server)
    server.down = False
    assert not withdraw(server, None)
    site.now += LENGTH + 1
    assert not withdraw(server), "the server may have acted on it"
    assert site.lease().lapsed()


# --- stopping ---------------------------------------------------------------------------------------------------------


class Host:
    """A driver of four guests; each of ``stubborn`` needs one call more than the others."""

    def __init__(self) -> None:
        self.states = {
            "running": DomainState.RUNNING,
            "paused": DomainState.PAUSED,
            "incoming": DomainState.INCOMING,
            "off": DomainState.SHUT_OFF,
        }
        self.stubborn = {"paused"}
        self.destroyed: list[str] = []
        self.started: list[str] = []
        self.hang: threading.Event | None = None
        self.away = False
        self.storage_hangs = False

    def list_copies(self, *, live: bool = False) -> Sequence[Copy]:
        assert live or not self.storage_hangs, "the storage was asked"
        if self.hang is not None:
            self.hang.wait(30)
        if self.away:
            raise HypervisorUnavailable("no libvirtd")
        return [Copy(uuid=uuid, state=state) for uuid, state in self.states.items()]

    def destroy(self, uuid: str) -> None:
        self.destroyed.append(uuid)
        if uuid in self.stubborn:
            self.stubborn.discard(uuid)
            raise DriverError("busy")
        self.states[uuid] = DomainState.SHUT_OFF

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        del operation_id, epoch, machine, seal
        self.started.append(spec.uuid)

    restore_memory = define_and_start

    def living(self) -> set[str]:
        return {uuid for uuid, state in self.states.items() if state is not DomainState.SHUT_OFF}


def guard(site: Site, host: Host, watchdog: Path | None = None) -> SelfFencing:
    return SelfFencing(site.told(), cast(Driver, host), watchdog)


def test_every_guest_is_stopped_and_again_until_none_runs(site: Site) -> None:
    host = Host()
    fencing = guard(site, host)
    fencing.tick()
    assert host.destroyed == []
    site.now += LENGTH + 1
    fencing.tick()
    assert host.living() == {"paused"}
    assert fencing.lease.lapsed()
    fencing.lease.renew(site.now)
    fencing.tick()
    assert host.living() == set()
    assert not fencing.lease.lapsed(), "nothing runs, and the server was heard"
    host.states["running"] = DomainState.RUNNING
    fencing.tick()
    assert host.living() == {"running"}, "guests may run again"


def test_a_lapse_that_nobody_noticed_in_time_counts(site: Site) -> None:
    host = Host()
    fencing = guard(site, host)
    site.now += LENGTH + 1  # the whole process slept
    fencing.lease.renew(site.now)
    fencing.tick()
    assert "running" in host.destroyed


def test_what_comes_later_is_stopped_too(site: Site) -> None:
    host = Host()
    host.states = {}
    fencing = guard(site, host)
    site.now += LENGTH + 1
    fencing.tick()
    host.states["late"] = DomainState.INCOMING
    fencing.tick()
    assert host.living() == set()


def test_nothing_is_started_while_it_has_lapsed(site: Site) -> None:
    host, lease = Host(), site.told()
    driver = leased(cast(Driver, host), lease)
    driver.define_and_start(SPEC, "op", 1)
    site.now += LENGTH + 1
    for start in (driver.define_and_start, driver.restore_memory):
        with pytest.raises(LeaseLapsed):
            start(SPEC, "op", 1)
    assert host.started == ["u"]
    assert len(driver.list_copies()) == 4, "what only looks is let through"


def test_guests_are_stopped_while_the_storage_hangs(site: Site) -> None:
    """The network is lost as a whole, often: to the server and to the storage."""
    host = Host()
    host.stubborn, host.storage_hangs = set(), True
    lease = site.told()
    site.now += LENGTH + 1
    SelfFencing(lease, cast(Driver, host), None).tick()
    assert host.living() == set()


def test_the_thread_stops_guests_before_begin_returns_and_outlives_failures(site: Site) -> None:
    host = Host()
    host.stubborn = set()
    site.told()
    site.now += LENGTH + 1
    fencing = SelfFencing(site.lease(), cast(Driver, host), None)
    fencing.begin(5)
    assert host.living() == set()
    host.away = True
    until(lambda: fencing.lease.lapsed())
    host.states["late"], host.away = DomainState.RUNNING, False
    until(lambda: host.living() == set())
    fencing.end(withdrawn=False)


def test_without_a_lease_there_is_no_thread(site: Site) -> None:
    before = threading.active_count()
    fencing = SelfFencing(site.lease(0), cast(Driver, Host()), None)
    fencing.begin(5)
    assert threading.active_count() == before
    fencing.end(withdrawn=True)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("waited 10 s")


# --- the watchdog -----------------------------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "watchdog"
    path.touch()
    return path


def petted(device: Path) -> int:
    return device.read_bytes().count(b"\0")


def test_it_is_petted_while_the_lease_holds_or_nothing_runs(site: Site, device: Path) -> None:
    host = Host()
    fencing = guard(site, host)
    fencing._watchdog = Watchdog(device)
    assert petted(device) == 1
    fencing.tick()
    assert petted(device) == 2
    site.now += LENGTH + 1
    fencing.tick()
    assert petted(device) == 2, "a guest would not stop"
    fencing.tick()
    assert petted(device) == 3
    host.away = True
    with pytest.raises(HypervisorUnavailable):
        fencing.tick()
    assert petted(device) == 3, "whether guests run is not known"
    fencing.lease.renew(site.now)
    host.away = False
    fencing.tick()
    assert petted(device) == 4


def test_it_is_not_petted_while_the_hypervisor_hangs(site: Site, device: Path) -> None:
    host = Host()
    site.told()
    site.now += LENGTH + 1
    host.hang = threading.Event()
    fencing = SelfFencing(site.lease(), cast(Driver, host), device)
    fencing.begin(0.2)
    threading.Event().wait(1.5)
    assert petted(device) == 1, "only when it was opened"
    host.hang.set()
    until(lambda: petted(device) > 1)
    fencing.end(withdrawn=False)


@pytest.mark.parametrize("withdrawn", [True, False])
def test_it_is_disarmed_only_if_the_server_does_not_count_with_the_lease(
    site: Site, device: Path, withdrawn: bool
) -> None:
    fencing = SelfFencing(site.told(), cast(Driver, Host()), device)
    fencing.begin(5)
    fencing.end(withdrawn=withdrawn)
    assert device.read_bytes().endswith(b"V") is withdrawn
    count = petted(device)
    threading.Event().wait(1.2)
    assert petted(device) == count


def test_a_device_that_is_not_there_stops_the_start(site: Site, tmp_path: Path) -> None:
    fencing = SelfFencing(site.told(), cast(Driver, Host()), tmp_path / "nothing" / "watchdog")
    with pytest.raises(SettingInvalid, match=r"watchdog_device = .*No such file"):
        fencing.begin(5)


@pytest.mark.parametrize(("value", "good"), [(0, True), (30, True), (29.9, False), (-1, False), ("inf", False)])
def test_the_setting(value: Any, good: bool) -> None:
    if good:
        assert load(AgentSettings, self_fencing_lease=value).self_fencing_lease == value
        return
    with pytest.raises(SettingInvalid, match=r"self_fencing_lease = .*0 \(never\), or at least 30 \(s\)"):
        load(AgentSettings, self_fencing_lease=value)
