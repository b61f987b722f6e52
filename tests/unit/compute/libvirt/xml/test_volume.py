"""A volume in a domain's XML: written, read back, and left alone wherever files are."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.compute import compatibility
from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.libvirt.xml.guest import read_disks
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.pools import GIB
from migrator.protocol import KERNEL, RAMDISK, GuestDescription, InstanceSpec, VolumeSpec
from tests.unit.compute.libvirt.xml.test_domain import HOST, SPEC, STAMP

SOURCE = "nbd://10.0.0.250:10809/data"
ROOT = VolumeSpec(id="r", target="vda", source="nbd://[fd00::1]:9/root", size_gb=2)
DATA = VolumeSpec(id="d", target="vdc", source=SOURCE, size_gb=1)
MIXED = SPEC.model_copy(update={"volumes": (DATA,)})
BACKED = SPEC.model_copy(update={"disks": (), "volumes": (ROOT, DATA), "state_pool": "a"})
NO_FILES = replace(HOST, disks={})


def disks(xml: str) -> list[ET.Element]:
    return ET.fromstring(xml).findall("devices/disk")


def test_a_volume_is_a_network_disk_past_every_cache() -> None:
    xml = domain_xml.build(MIXED, HOST, STAMP)
    volume = disks(xml)[-1]
    assert (volume.get("type"), volume.get("device")) == ("network", "disk")
    assert [child.attrib for child in volume] == [
        {"name": "qemu", "type": "raw", "cache": "none"},
        {"protocol": "nbd", "name": "data"},
        {"dev": "vdc", "bus": "virtio"},
    ]
    host = volume.find("source/host")
    assert host is not None
    assert host.attrib == {"name": "10.0.0.250", "port": "10809"}


def test_what_was_written_is_read_back() -> None:
    assert read_disks(domain_xml.build(BACKED, NO_FILES, STAMP)) == {"vda": ROOT.source, "vdc": SOURCE}
    found = read_disks(domain_xml.build(MIXED, HOST, STAMP))
    assert found["vdc"] == SOURCE
    assert found["vda"].startswith("/")


def test_a_network_disk_that_is_no_volume_is_told_by_its_type() -> None:
    xml = """<domain><devices><disk type='network'><source protocol='rbd' name='p/i'><host name='m'/></source>
    <target dev='vdd'/></disk></devices></domain>"""
    assert read_disks(xml) == {"vdd": "network"}


def test_files_change_their_places_and_volumes_do_not() -> None:
    xml = domain_xml.build(MIXED, HOST, STAMP)
    moved = domain_xml.for_destination(xml, {"vda": "/srv/z/disk", "vdc": "/srv/z/disk.vdc"})
    assert read_disks(moved)["vda"] == "/srv/z/disk"
    assert read_disks(moved)["vdc"] == SOURCE


def test_kernel_and_ramdisk_without_a_disk_beside_them_are_where_the_destination_says() -> None:
    xml = domain_xml.build(BACKED, NO_FILES, STAMP)
    domain = ET.fromstring(domain_xml.for_destination(xml, {KERNEL: "/z/kernel", RAMDISK: "/z/ramdisk"}))
    assert (domain.findtext("os/kernel"), domain.findtext("os/initrd")) == ("/z/kernel", "/z/ramdisk")


@pytest.fixture
def files(tmp_path: Path) -> Disks:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return Disks({name: tmp_path / name for name in ("a", "b")}, "b")


def test_an_instance_on_volumes_has_files_for_its_kernel_and_none_for_its_disks(files: Disks, tmp_path: Path) -> None:
    for name in ("k", "r"):
        (tmp_path / name).write_text(name)
    images = {"k": tmp_path / "k", "r": tmp_path / "r"}
    assert [(fact.target, fact.pool, fact.exists) for fact in files.facts(BACKED)] == [
        (KERNEL, "a", False),
        (RAMDISK, "a", False),
    ]
    files.make(BACKED, images)
    files.make_targets(BACKED, GuestDescription(storage={"a": "elsewhere"}), images)
    files.grow(BACKED)
    assert sorted(path.name for path in (tmp_path / "a" / BACKED.uuid).iterdir()) == [KERNEL, RAMDISK]
    assert all(fact.exists for fact in files.facts(BACKED))
    assert files.memory(BACKED).parent == tmp_path / "a" / BACKED.uuid


def test_only_its_own_volumes_are_none_of_a_domains_strays(files: Disks) -> None:
    assert files.unknown_disks(BACKED, {"vda": ROOT.source, "vdc": SOURCE}) == []
    assert files.unknown_disks(BACKED, {"vda": SOURCE}) == [f"vda is {SOURCE}"]
    assert files.unknown_disks(BACKED, {"vdx": "network"}) == ["vdx is network"]


@pytest.mark.parametrize(
    ("spec", "block", "ok"),
    [
        (BACKED, None, True),
        (BACKED, False, True),
        (BACKED, True, False),
        (MIXED, None, True),
        (MIXED, False, False),
        (MIXED, True, True),
    ],
)
def test_a_flag_that_contradicts_what_the_disks_are(spec: InstanceSpec, block: bool | None, ok: bool) -> None:
    guest = GuestDescription(storage={"a": "here", "b": "here too"})
    found = compatibility.storage(spec, guest, {"a": "there", "b": "there too"}, block)
    assert found.ok is ok, found
    assert "on the network" in found.found


@pytest.mark.parametrize(
    ("seen", "ok", "message"),
    [
        ({ROOT.source: 2 * GIB, SOURCE: GIB}, True, "vda (nbd://[fd00::1]:9/root) has 2048 MiB"),
        ({ROOT.source: 2 * GIB - 1, SOURCE: GIB}, False, "has 2047 MiB, and had 2 GiB"),
        ({ROOT.source: 2 * GIB, SOURCE: "Connection refused"}, False, f"vdc ({SOURCE}) is out of reach: Connection"),
        ({}, False, "not looked at"),
    ],
)
def test_volumes_are_reached_and_no_smaller_than_they_were(seen: dict[str, int | str], ok: bool, message: str) -> None:
    found = compatibility.volumes(BACKED, seen)
    assert (found.name, found.ok) == ("volumes", ok)
    assert message in found.found


def test_no_volumes_are_no_question() -> None:
    assert compatibility.volumes(SPEC, {}).ok
