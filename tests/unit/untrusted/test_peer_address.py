"""What a host may say of where its peers reach it: a place, and nothing that makes another host run a program."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from migrator.compute.libvirt.driver import LibvirtDriver
from migrator.errors import DriverError, SettingInvalid
from migrator.protocol import CopiedInputs, GuestDescription, HostReport, MigratingInputs
from migrator.settings import AgentSettings, load

GOOD = (
    "qemu+tcp://10.0.0.1/system",
    "qemu+tls://n1.example.org/system",
    "qemu+tcp://[fd00::1]:16509/system",
    "qemu+tls://n-1:16514/system",
)
BAD = (
    "x",
    "qemu+ext:///system?command=/tmp/run",
    "qemu+ext://10.0.0.1/system",
    "qemu+ssh://10.0.0.1/system",
    "qemu+libssh2://10.0.0.1/system",
    "qemu+unix:///system?socket=/tmp/s",
    "qemu:///system",
    "QEMU+EXT://10.0.0.1/system",
    "test:///default",
    "qemu+tcp://10.0.0.1/system?command=/tmp/run",
    "qemu+tls://10.0.0.1/system?pkipath=/tmp",
    "qemu+tcp://10.0.0.1/system?",
    "qemu+tcp://10.0.0.1/system#x",
    "qemu+tcp://10.0.0.1/session",
    "qemu+tcp://10.0.0.1/system/../embed",
    "qemu+tcp://root@10.0.0.1/system",
    "qemu+tcp://-oProxyCommand=x/system",
    "qemu+tcp://-n1/system",
    "qemu+tcp://n1-/system",
    "qemu+tcp://n1..x/system",
    "qemu+tcp://10.0.0.999/system",
    "qemu+tcp://1.2.3/system",
    "qemu+tcp://[fd00::1%eth0]/system",
    "qemu+tcp://[10.0.0/system",
    "qemu+tcp://[::g]/system",
    "qemu+tcp://[abcd]/system",
    "qemu+tcp://n1:0/system",
    "qemu+tcp://n1:65536/system",
    "qemu+tcp://n1:22a/system",
    "qemu+tcp://n1:/system",
    "qemu+tcp://n1/system\n",
    " qemu+tcp://n1/system",
    "qemu+tcp://n1%2f/system",
    "qemu+tcp:///system",
    "qemu+tcp://n\u0661/system",
    f"qemu+tcp://{'a' * 64}/system",
    "simulated://a/../b",
)


def report(**changes: Any) -> HostReport:
    usual = {"vcpus": 1, "memory_mb": 1, "address": "10.0.0.1", "live_migration_uri": GOOD[0]}
    return HostReport.model_validate(usual | changes)


@pytest.mark.parametrize("uri", GOOD)
def test_a_plain_address_of_a_peer_is_taken_and_opened_as_it_is(uri: str) -> None:
    assert report(live_migration_uri=uri).live_migration_uri == uri
    scheme = uri.partition("://")[0]
    assert AgentSettings(live_migration_uri=f"{scheme}://%s/system").peer_uri(uri) == uri


@pytest.mark.parametrize("uri", BAD)
def test_any_other_uri_is_refused_in_a_description_and_never_opened(uri: str) -> None:
    with pytest.raises(ValidationError, match=r"qemu\+tcp://HOST"):
        report(live_migration_uri=uri)
    with pytest.raises(ValueError, match=r"qemu\+tcp://HOST"):
        AgentSettings().peer_uri(uri)


@pytest.mark.parametrize(
    "address", ["-x", "10.0.0.1 --action=on", "a/b", "n1:49152", "u@n1", "fe80::1%lo", "n\n", "1.2"]
)
def test_an_address_for_memory_and_disks_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="is no address"):
        report(address=address)


def test_scheme_and_query_are_the_opening_hosts_own_and_the_query_is_told_to_nobody() -> None:
    settings = AgentSettings(live_migration_uri="qemu+tls://%s/system?pkipath=/etc/libvirt/pki")
    assert settings.peer_uri("qemu+tcp://n2:77/system") == "qemu+tls://n2:77/system?pkipath=/etc/libvirt/pki"
    assert settings.migration_uri("n1") == "qemu+tls://n1/system"


@pytest.mark.parametrize("uri", ["qemu+ssh://%s/system", "qemu+ext://%s/system?command=x", "qemu+tcp://n1/system"])
def test_a_setting_that_opens_peers_in_another_way_stops_the_start(uri: str) -> None:
    with pytest.raises(SettingInvalid, match="live_migration_uri"):
        load(AgentSettings, live_migration_uri=uri)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibvirtDriver:
    """The real driver; what it would open is a test's failure."""
    module = "migrator.compute.libvirt.bindings.connections"
    control = SimpleNamespace(call=lambda _: pytest.fail("libvirt was called"))
    monkeypatch.setattr(f"{module}.connect", lambda *_, **__: control)
    return LibvirtDriver(AgentSettings(state_path=tmp_path, storage={"local": tmp_path / "pool"}))


EVIL = "qemu+ext:///system?command=/tmp/run"


def test_an_agent_refuses_an_assignment_that_opens_such_a_uri(driver: LibvirtDriver) -> None:
    spec: Any = SimpleNamespace(uuid="u")
    inputs = MigratingInputs(destination_host="b", destination_address="10.0.0.2", uri=EVIL)
    with pytest.raises(DriverError, match="destination is not opened"):
        driver.start_migration(spec, "o", 1, inputs)
    other = inputs.model_copy(update={"uri": GOOD[0], "destination_address": "10.0.0.2/x"})
    with pytest.raises(DriverError, match="is no address"):
        driver.start_migration(spec, "o", 1, other)
    copied = CopiedInputs.model_construct(guest=GuestDescription.model_construct(), source_uri=EVIL)
    with pytest.raises(DriverError, match="source is not opened"):
        driver._connect_reader(copied.source_uri)


def test_an_agent_does_not_try_such_a_uri_when_it_looks_for_its_peers(driver: LibvirtDriver) -> None:
    assert "is no address of a peer" in (driver.reach(EVIL) or "")
