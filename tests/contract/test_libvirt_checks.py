"""The checks before a move in libvirt's own words: CPUs and their features, and every failed one by its name."""

from typing import Any

import pytest

from migrator.protocol import (
    GuestDescription,
    NicSpec,
)
from tests.contract.libvirt_hosts import agent_settings
from tests.contract.libvirt_world import VDA, World
from tests.contract.remote_driver import remote

pytestmark = pytest.mark.lab


def test_a_cpu_that_the_destination_lacks_is_refused_with_the_features(world: World) -> None:
    spec = world.spec()
    world.boot(spec)
    guest = world.source.describe_guest(spec)
    model = "<cpu mode='custom' match='exact'><model fallback='forbid'>Skylake-Server</model></cpu>"
    checks = world.destination.check_destination(spec, guest.model_copy(update={"cpu_xml": model}), None)
    refused = {check.name: check for check in checks if not check.ok}
    assert set(refused) == {"cpu"}
    assert "avx512f" in refused["cpu"].found


@pytest.mark.parametrize(
    "cpu",
    [
        "<cpu mode='custom' match='exact'><model fallback='forbid'>Unheard-Of</model></cpu>",
        "<cpu><arch>x86_64</arch><model>Broadwell</model><feature name='avx512f'/></cpu>",
    ],
)
def test_unknown_models_and_whole_host_cpus_are_compared_too(world: World, cpu: str) -> None:
    guest = GuestDescription(cpu_xml=cpu, machine="pc")
    checks = world.destination.check_destination(world.spec(), guest, None)
    refused = {check.name: check.found for check in checks if not check.ok}
    assert set(refused) == {"cpu"}
    assert "Unheard-Of" in refused["cpu"] or "avx512f" in refused["cpu"]


def test_every_failed_check_is_named(world: World) -> None:
    spec = world.spec(VDA, memory_mb=160)
    world.boot(spec)
    guest = world.source.describe_guest(spec).model_copy(update={"machine": "pc-i440fx-99.0"})
    huge = spec.model_copy(update={"memory_mb": 1 << 30, "nics": (NicSpec(network="mars", mac="52:54:00:00:00:12"),)})
    checks = world.destination.check_destination(huge, guest, False)
    assert {c.name for c in checks if not c.ok} == {"memory", "machine_type", "network", "storage"}
    here = world.source.check_destination(spec, guest, None)
    assert "domain" in {c.name for c in here if not c.ok}


@pytest.mark.parametrize("mode", ["host-model", "custom"])
def test_other_cpu_modes_boot_and_pass_their_own_check(world: World, mode: str) -> None:
    changes: dict[str, Any] = {"cpu_mode": mode, "cpu_models": ("Westmere",) if mode == "custom" else ()}
    host = world.hosts.both[0]
    driver, end = remote(host.enter, agent_settings(host, **changes))
    spec = world.spec()
    driver.make_disks(spec, world.images)
    driver.define_and_start(spec, "op", 1)
    checks = world.destination.check_destination(spec, driver.describe_guest(spec), None)
    end()
    assert [check for check in checks if not check.ok] == []
