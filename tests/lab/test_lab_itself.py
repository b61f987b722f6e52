"""The lab alone, through its public interface: hosts, storage, guest, and ``virsh`` moving it between them."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.errors import LabError
from migrator.lab import Lab, LabHost, network
from migrator.lab.content import content_sum
from migrator.lab.image import GuestImages, build_guest
from migrator.lab.layout import LOCAL, SHARED
from migrator.lab.process import members, namespaces
from migrator.lab.ticks import TickFollower
from tests.lab import domains
from tests.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")]

# A guest whose memory is a multiple of it loses writes when it moves: migrator/lab/emulator says why.
FAST_PATH_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab("self", state_dir=tmp_path_factory.mktemp("lab") / "state")
    made.down()
    made.up()
    yield made
    made.down()


@pytest.fixture(scope="module")
def guest() -> GuestImages:
    return build_guest()


def follow(lab: Lab, name: str) -> TickFollower:
    return TickFollower({host.name: host.console_log(name) for host in lab.hosts})


def memory_bytes(host: LabHost, name: str) -> int:
    """Of a guest, as its QEMU counts it."""
    command = ["virsh", "qemu-monitor-command", name, '{"execute": "query-memory-size-summary"}']
    return int(json.loads(host.run(command))["return"]["base-memory"])


def test_each_host_answers_under_its_own_name(lab: Lab) -> None:
    answers = [host.run(["virsh", "-c", host.uri, "hostname"]).strip() for host in lab.hosts]
    assert answers == ["n1", "n2", "n3"]
    pids = [host.libvirtd_pid for host in lab.hosts]
    assert None not in pids
    assert len(set(pids)) == 3


def test_shared_storage_is_one_and_local_disks_are_not(lab: Lab) -> None:
    first, second, _ = lab.hosts
    for pool in (SHARED, LOCAL):
        first.run(["sh", "-c", f"echo seen > {pool}/probe"])
    assert second.run(["cat", f"{SHARED}/probe"]) == "seen\n"
    with pytest.raises(LabError, match="probe"):
        second.run(["cat", f"{LOCAL}/probe"])


@pytest.mark.parametrize("pool", [SHARED, LOCAL], ids=["shared", "local"])
def test_a_guest_boots_in_seconds_and_moves_without_a_lost_tick(lab: Lab, guest: GuestImages, pool: Path) -> None:
    source, destination, _ = lab.hosts
    name = str(uuid.uuid4())
    place = pool / name
    domains.place_files(source, place, guest)
    flags: tuple[str, ...] = ()
    if pool == LOCAL:
        domains.place_files(destination, place, guest)
        flags = ("--copy-storage-all",)
    with follow(lab, name) as ticks:
        domains.start(source, name, place)
        ticks.wait_ticks(20)
        moved = time.monotonic()
        domains.move(source, destination, name, *flags)
        ticks.wait_host(destination.name)
        ticks.wait_ticks(20)
        gap = ticks.max_gap_ms(since=moved)
    assert ticks.problems == []
    assert len(ticks.boots) == 1
    assert ticks.disk_ok > 0
    assert 50 < gap < PATIENCE * 5000
    assert name not in domains.running(source)
    assert name in domains.running(destination)
    assert memory_bytes(destination, name) % FAST_PATH_BYTES != 0
    destination.run(["virsh", "destroy", name])


def test_the_power_button_ends_the_guest_and_a_reboot_begins_a_new_life(lab: Lab, guest: GuestImages) -> None:
    host = lab.hosts[2]
    name = str(uuid.uuid4())
    domains.place_files(host, LOCAL / name, guest)
    with follow(lab, name) as ticks:
        domains.start(host, name, LOCAL / name)
        ticks.wait_ticks(10)
        host.run(["virsh", "reboot", name])
        ticks.wait_boots(2)
        ticks.wait_ticks(10)
        host.run(["virsh", "shutdown", name])
        wait_for(lambda: name not in domains.running(host), 30, "the guest to shut down")
    assert len(set(ticks.boots)) == 2
    assert ticks.problems == []
    assert name not in domains.running(host)


def test_a_disk_is_locked_while_its_guest_runs_and_outlives_its_host(lab: Lab, guest: GuestImages) -> None:
    host, other, _ = lab.hosts
    name = str(uuid.uuid4())
    disk = SHARED / name / "disk.qcow2"
    domains.place_files(host, SHARED / name, guest)
    with follow(lab, name) as ticks:
        domains.start(host, name, SHARED / name, "fill=8 again=1")
        written = ticks.first_content()
        assert written.new
        assert ticks.wait_content().sum == written.sum
        with pytest.raises(LabError, match='Failed to get "write" lock'):
            domains.start(other, name, SHARED / name)
        with pytest.raises(LabError, match="lock"):
            content_sum(other, disk)
        host.power_off()
        assert host.libvirtd_pid is None
        assert content_sum(other, disk) == written.sum
        domains.start(other, name, SHARED / name)
        ticks.wait_boots(2)
        kept = ticks.first_content()
        other.run(["virsh", "destroy", name])
    assert (kept.sum, kept.bytes, kept.new) == (written.sum, 8 << 20, False)
    assert ticks.problems == []
    host.power_on()
    assert name not in domains.running(host)


def test_libvirtd_comes_back_and_a_cut_link_is_mended(lab: Lab) -> None:
    first, second, _ = lab.hosts
    first.kill_libvirtd(signal.SIGKILL)
    assert first.libvirtd_pid is None
    first.start_libvirtd()
    assert first.libvirtd_pid is not None

    def reaches() -> bool:
        """Whether a connection to the second host's libvirtd comes about while its second attempt is still allowed."""
        connect = ["timeout", "2", "bash", "-c", f"echo > /dev/tcp/{second.address}/16509"]
        return subprocess.run(first.enter(connect), stderr=subprocess.DEVNULL).returncode == 0

    wait_for(reaches, 10, "the second host to be reached")
    second.cut_link()
    wait_for(lambda: not reaches(), 10, "the cut link to stop a connection")
    second.restore_link()
    wait_for(reaches, 10, "the second host to be reached again")


def test_another_process_finds_the_lab(lab: Lab) -> None:
    other = Lab("self", state_dir=lab.layout.root)
    assert [host["libvirtd"] for host in other.status()["hosts"]] == [host.libvirtd_pid for host in lab.hosts]
    assert other.hosts[0].run(["hostname"]) == "n1\n"
    with pytest.raises(LabError, match="up already"):
        other.up()


def test_down_leaves_nothing_even_after_an_up_that_was_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    code = (
        f"from migrator.lab import Lab; Lab('half', state_dir={str(state)!r}).up(lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as half:
        assert half.stdout is not None
        while not half.stdout.readline().startswith("host n2"):
            assert half.poll() is None
        half.kill()
    lab = Lab("half", state_dir=state)
    inside = [process for netns in namespaces("mg-half-") for process in members(netns)]
    assert inside
    lab.down()
    assert not any(process.alive for process in inside)
    assert network.leftovers(lab.layout) == []
    assert not state.exists()
    lab.down()


def test_a_directory_that_is_not_a_labs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(LabError, match="no lab made"):
        Lab("other", state_dir=tmp_path).down()
    assert (tmp_path / "letter").read_text() == "dear"


@pytest.mark.parametrize("name", ["", "Lab", "9lives", "much-too-long", "a/b"])
def test_a_name_that_cannot_name_interfaces_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        Lab(name, state_dir="/nonexistent")
