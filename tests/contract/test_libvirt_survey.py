"""What only real libvirt can tell beforehand: consoles, a libvirtd that does not answer, a CPU that all hosts have."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.compute.agent.survey import Surveyor
from migrator.compute.driver import Driver
from migrator.protocol import DiskSpec, GuestCpu, InstanceSpec, Peer, Questions
from migrator.scheduler.checks.filters import findings
from migrator.scheduler.checks.finding import Candidate, PlacementRequest, SourceHost, Status, SurveyRecord
from migrator.scheduler.decision.snapshot import HostView, Liveness
from tests.contract.libvirt_hosts import DISK, Hosts, agent_settings
from tests.contract.remote_driver import remote
from tests.waiting import soon, wait_for

pytestmark = pytest.mark.lab
VDA = DiskSpec(target="vda", pool="local", size_gb=1, image_id=DISK)


def boot(hosts: Hosts, driver: Driver) -> InstanceSpec:
    spec = hosts.spec(VDA)
    driver.make_disks(spec, hosts.images)
    driver.define_and_start(spec, "op", 1)
    return spec


def virsh(hosts: Hosts, *arguments: str, inside: int = 0) -> str:
    command = hosts.both[inside].enter(["virsh", *arguments])
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_host_knows_its_own_addresses(clean: Hosts) -> None:
    for driver, host in ((clean.source, clean.both[0]), (clean.destination, clean.both[1])):
        addresses = driver.addresses()
        assert host.address in addresses
        assert not {other.address for other in clean.both if other is not host} & set(addresses)


def test_a_console_that_listens_on_an_address_of_the_source_is_found_before_the_move(clean: Hosts) -> None:
    spec = boot(clean, clean.source)
    clean.source.destroy(spec.uuid)
    address = clean.both[0].address
    domain = ET.fromstring(virsh(clean, "dumpxml", spec.uuid, "--inactive"))
    devices = domain.find("devices")
    assert devices is not None
    ET.SubElement(devices, "graphics", {"type": "vnc", "port": "-1", "autoport": "yes", "listen": address})
    path = Path(f"/var/tmp/{spec.uuid}.xml")
    path.write_text(ET.tostring(domain, encoding="unicode"))
    try:
        virsh(clean, "define", str(path))
        virsh(clean, "start", spec.uuid)
    finally:
        path.unlink()
    assert clean.source.live_guests()[spec.uuid].listens == (address,)
    guest = clean.source.describe_guest(spec)
    assert guest.listens == (address,)
    failed = [check for check in clean.destination.check_destination(spec, guest, None) if not check.ok]
    assert [check.name for check in failed] == ["console"]
    assert address in failed[0].found


@pytest.fixture
def stopped(clean: Hosts) -> Iterator[int]:
    """The destination's libvirtd, which answers no call."""
    pid = clean.both[1].libvirtd_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_libvirtd_that_does_not_answer_is_told_in_time(clean: Hosts, stopped: int) -> None:
    del stopped
    uri = f"qemu+tcp://{clean.both[1].address}/system"
    began = time.monotonic()
    message = clean.source.reach(uri)
    assert message is not None
    assert "no answer within" in message
    assert soon(began, 7)


def test_a_port_where_nothing_listens_and_an_address_that_is_none(clean: Hosts) -> None:
    address = clean.both[1].address
    assert "refused" in (clean.source.reach(f"qemu+tcp://{address}:1/system") or "")
    nowhere = address.rpartition(".")[0] + ".222"
    began = time.monotonic()
    assert clean.source.reach(f"qemu+tcp://{nowhere}/system") is not None
    assert soon(began, 7)


def test_surveys_of_both_hosts_let_every_check_pass(clean: Hosts) -> None:
    """What agents tell of a guest that can move, judged by the server's own table."""
    spec = boot(clean, clean.source)
    drivers = dict(zip([host.name for host in clean.both], (clean.source, clean.destination), strict=True))
    reports = {name: driver.host_report() for name, driver in drivers.items()}
    peers = [Peer(name=name, uri=report.live_migration_uri) for name, report in reports.items()]
    source, destination = drivers
    asked: dict[str, GuestCpu] = {}
    surveys = {}
    for name, driver in drivers.items():
        questions = Questions(now=0, next_survey_s=5, peers=tuple(p for p in peers if p.name != name), cpus=asked)
        surveys[name] = Surveyor(driver).survey(questions, 0.0, 0.01)
        asked = dict(surveys[source].cpus)
    views = {name: HostView(name, report, silent_s=0, liveness=Liveness.HEARD) for name, report in reports.items()}
    guest = clean.source.describe_guest(spec)
    origin = SourceHost(views[source], SurveyRecord(surveys[source], 0))
    need = PlacementRequest(spec, 1, spec.memory_mb, 1, source=source, guest=guest, live=True, origin=origin)
    candidate = Candidate(views[destination], 2, 1e6, 100, SurveyRecord(surveys[destination], 0))
    found = dict(findings(candidate, need))
    assert {code: finding.message for code, finding in found.items() if finding.status is not Status.PASSED} == {}
    assert "cpu" in found
    assert surveys[source].guests[spec.uuid].cpu in surveys[destination].runs


def emulator_of(uuid: str) -> int:
    """The process that runs the guest."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"-uuid\0{uuid}" in command.read_text():
                return int(command.parent.name)
    raise AssertionError(f"no process runs {uuid}")


def test_an_emulator_that_hangs_keeps_nobody_waiting_for_what_is_used(clean: Hosts) -> None:
    spec = boot(clean, clean.source)
    wait_for(lambda: clean.source.use().guests, 20, "use of the guest")
    pid, began = emulator_of(spec.uuid), time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        used = clean.source.use()
        again = clean.source.use()
        assert soon(began, 8)
        assert used.busy_s > 0
        assert (used.guests, again.guests) == (None, None)
        clean.source.destroy(spec.uuid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: clean.source.use().guests == {}, 20, "use of no guest")


BASELINE = """
import json, sys
from migrator.compute.libvirt.cpu_baseline import baseline
from migrator.protocol import HostCpu
hosts = {name: HostCpu.model_validate(cpu) for name, cpu in json.load(sys.stdin).items()}
found = baseline("qemu:///system", hosts)
print(json.dumps([found.model, found.xml, found.models]))
"""


def test_the_baseline_of_all_hosts_boots_a_guest_on_each(clean: Hosts) -> None:
    """The model that libvirt works out is one that both hosts run a guest with, and neither finds lacking."""
    cpus = {host.name: d.host_cpu() for host, d in zip(clean.both, (clean.source, clean.destination), strict=True)}
    told = json.dumps({name: cpu.model_dump() for name, cpu in cpus.items()})
    done = subprocess.run(
        clean.both[0].enter([sys.executable, "-c", BASELINE]),
        input=told,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    model, xml, models = json.loads(done.stdout)
    assert model in models
    assert "<model" in xml
    for host, other in ((clean.both[0], clean.destination), (clean.both[1], clean.source)):
        driver, end = remote(host.enter, agent_settings(host, cpu_mode="custom", cpu_models=[model]))
        try:
            spec = boot(clean, driver)
            guest = driver.live_guests()[spec.uuid]
            assert model in (guest.cpu_xml or "")
            (cpu,) = [check for check in other.check_destination(spec, guest, None) if check.name == "cpu"]
            assert cpu.ok, cpu.found
        finally:
            end()
