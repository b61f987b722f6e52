"""The watchdog device is kept from firing only while no guest can run longer than its lease."""

import threading
from pathlib import Path
from typing import cast

import pytest

from migrator.compute.driver import Driver
from migrator.compute.fencing.self_fencing import SelfFencing
from migrator.compute.fencing.watchdog import Watchdog
from migrator.errors import HypervisorUnavailable, SettingInvalid
from tests.unit.compute.fencing.fenced_host import LENGTH, Host, Site, guard, until


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
