"""Domain XML: what is written, and what is rewritten for another host."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.libvirt.xml.domain import DiskPlace, HostShape
from migrator.compute.libvirt.xml.stamp import NAMESPACE, Stamp, read_stamp, stamp_xml
from migrator.errors import DriverError
from migrator.protocol import DiskSpec, InstanceSpec, NicSpec
from migrator.untrusted import xml_text

UUID = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
HOME = Path("/srv/a") / UUID

SPEC = InstanceSpec(
    uuid=UUID,
    name='web <&> "one"',
    vcpus=2,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="a", size_gb=1), DiskSpec(target="vdb", pool="b", format="raw", size_gb=1)),
    nics=(NicSpec(network="demo", mac="52:54:00:00:00:01"),),
    kernel_id="k",
    ramdisk_id="r",
    kernel_args="console=ttyS0 a=<b>",
)
HOST = HostShape(
    virt_type="qemu",
    cpu_mode="none",
    cpu_model=None,
    machine="pc",
    arch="x86_64",
    console=Path("/srv/consoles/x.log"),
    disks={"vda": DiskPlace(HOME / "disk"), "vdb": DiskPlace(Path("/srv/b") / UUID / "disk.vdb", "writeback")},
    bridges={"demo": "br0"},
    kernel=HOME / "kernel",
    ramdisk=HOME / "ramdisk",
)
STAMP = Stamp("web", "0b0e", 7)


def built(spec: InstanceSpec = SPEC, host: HostShape = HOST) -> ET.Element:
    return ET.fromstring(domain_xml.build(spec, host, STAMP))


def one(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    assert found is not None, path
    return found


def test_the_spec_is_written() -> None:
    domain = built()
    assert domain.get("type") == "qemu"
    assert (domain.findtext("uuid"), domain.findtext("name"), domain.findtext("title")) == (UUID, UUID, SPEC.name)
    assert (domain.findtext("memory"), domain.findtext("vcpu")) == ("512", "2")
    assert domain.findtext("os/kernel") == str(HOME / "kernel")
    assert domain.findtext("os/initrd") == str(HOME / "ramdisk")
    assert domain.findtext("os/cmdline") == SPEC.kernel_args
    assert domain.find("os/boot") is None
    assert [(one(d, "driver").attrib, one(d, "source").get("file")) for d in domain.findall("devices/disk")] == [
        ({"name": "qemu", "type": "qcow2", "cache": "none"}, str(HOME / "disk")),
        ({"name": "qemu", "type": "raw", "cache": "writeback"}, f"/srv/b/{UUID}/disk.vdb"),
    ]
    assert one(domain, "devices/interface/source").attrib == {"bridge": "br0"}
    assert one(domain, "devices/serial/source").attrib == {"path": "/srv/consoles/x.log", "append": "on"}
    assert domain.find("cpu") is None


@pytest.mark.parametrize(
    ("kind", "vlan", "port", "tags"),
    [("bridge", None, None, []), ("vlan", 7, None, ["7"]), ("openvswitch", 7, "openvswitch", ["7"])],
)
def test_an_interface_is_on_the_networks_bridge_unless_the_hosts_own_setting_has_another(
    kind: str, vlan: int | None, port: str | None, tags: list[str]
) -> None:
    nic = NicSpec(network="lab", mac="fa:16:3e:00:00:01", kind=kind, bridge="br9", vlan=vlan)
    domain = built(SPEC.model_copy(update={"nics": (nic, nic.model_copy(update={"network": "demo"}))}))
    card, own = domain.findall("devices/interface")
    assert (one(card, "mac").get("address"), one(card, "source").attrib) == (nic.mac, {"bridge": "br9"})
    virtual_port = card.find("virtualport")
    assert (None if virtual_port is None else virtual_port.get("type")) == port
    assert [tag.get("id") for tag in card.findall("vlan/tag")] == tags
    assert (own.find("virtualport"), own.find("vlan")) == (None, None), "they are about the network's own bridge"
    assert one(own, "source").attrib == {"bridge": "br0"}


def test_what_lies_under_a_disk_is_written_to_its_end_where_it_is_known() -> None:
    base = (Path("/srv/a/_base/i"), "raw")
    disks = {"vda": DiskPlace(HOME / "disk", under=(base,)), "vdb": DiskPlace(HOME / "disk.vdb", under=())}
    over, alone = built(host=replace(HOST, disks=disks)).findall("devices/disk")
    assert one(over, "backingStore").get("type") == "file"
    assert one(over, "backingStore/format").attrib == {"type": "raw"}
    assert one(over, "backingStore/source").attrib == {"file": "/srv/a/_base/i"}
    for end in (one(over, "backingStore/backingStore"), one(alone, "backingStore")):
        assert (len(end), end.attrib) == (0, {})
    assert [disk.find("backingStore") for disk in built().findall("devices/disk")] == [None, None]


def test_without_a_kernel_the_disk_boots() -> None:
    domain = built(host=replace(HOST, kernel=None, ramdisk=None))
    assert one(domain, "os/boot").attrib == {"dev": "hd"}
    assert domain.find("os/kernel") is None
    assert domain.find("os/cmdline") is None


@pytest.mark.parametrize(
    ("mode", "model", "expected"),
    [("host-model", None, None), ("host-passthrough", None, None), ("custom", "Westmere", "Westmere")],
)
def test_cpu_modes(mode: str, model: str | None, expected: str | None) -> None:
    cpu = built(host=replace(HOST, cpu_mode=mode, cpu_model=model)).find("cpu")
    assert cpu is not None
    assert (cpu.get("mode"), cpu.findtext("model")) == (mode, expected)


def test_an_unknown_network_is_named_with_those_known() -> None:
    with pytest.raises(DriverError, match=r"demo.*it has: other"):
        built(host=replace(HOST, bridges={"other": "br1"}))


def test_the_stamp_is_read_back_from_a_whole_domain() -> None:
    element = built().find(f"metadata/{{{NAMESPACE}}}instance")
    assert element is not None
    assert read_stamp(ET.tostring(element, encoding="unicode")) == STAMP


def test_the_seal_goes_with_the_stamp_and_is_the_destinations_where_the_guest_is_moved_to() -> None:
    sealed = replace(STAMP, seal="here")
    xml = domain_xml.build(SPEC, HOST, sealed)
    for seal, found in (("", sealed), ("there", replace(STAMP, seal="there"))):
        moved = ET.fromstring(domain_xml.for_destination(xml, {}, seal=seal))
        assert read_stamp(ET.tostring(one(moved, "metadata")[0], encoding="unicode")) == found
    assert read_stamp(stamp_xml(sealed)) == sealed


def test_paths_are_rewritten_for_the_destination_and_kernels_follow() -> None:
    source = built()
    disks = source.findall("devices/disk")
    for disk in disks:
        ET.SubElement(disk, "backingStore", {"type": "file"})
    moved = ET.fromstring(
        domain_xml.for_destination(ET.tostring(source, encoding="unicode"), {"vda": f"/mnt/z/{UUID}/disk"})
    )
    assert [s.get("file") for s in moved.findall("devices/disk/source")] == [
        f"/mnt/z/{UUID}/disk",
        f"/srv/b/{UUID}/disk.vdb",
    ]
    assert moved.findtext("os/kernel") == f"/mnt/z/{UUID}/kernel"
    assert moved.findtext("os/initrd") == f"/mnt/z/{UUID}/ramdisk"
    assert [disk.find("backingStore") is None for disk in moved.findall("devices/disk")] == [True, False]
    assert read_stamp(ET.tostring(one(moved, "metadata")[0], encoding="unicode")) == STAMP


def test_equal_paths_change_nothing() -> None:
    source = domain_xml.build(SPEC, HOST, STAMP)
    same = {target: str(place.path) for target, place in HOST.disks.items()}
    assert ET.canonicalize(domain_xml.for_destination(source, same)) == ET.canonicalize(source)


@pytest.mark.parametrize(("target", "bus"), [("sda", "sata"), ("hda", "ide")])
def test_a_config_drive_is_a_cdrom_that_nobody_writes(target: str, bus: str) -> None:
    drive = DiskSpec(target=target, pool="a", format="raw", size_gb=0, config_drive=True)
    host = replace(HOST, disks={**HOST.disks, target: DiskPlace(HOME / "disk.config")})
    domain = built(SPEC.model_copy(update={"disks": (*SPEC.disks, drive)}), host)
    disk = domain.findall("devices/disk")[-1]
    assert disk.get("device") == "cdrom"
    assert one(disk, "target").attrib == {"dev": target, "bus": bus}
    assert disk.find("readonly") is not None
    assert all(disk.find("readonly") is None for disk in domain.findall("devices/disk")[:-1])


def test_a_saved_domain_goes_on_with_this_hosts_files_bridges_and_stamp() -> None:
    there = Path("/mnt/z") / UUID
    host = replace(
        HOST,
        disks={"vda": DiskPlace(there / "disk"), "vdb": DiskPlace(there / "disk.vdb")},
        bridges={"demo": "br9"},
        kernel=there / "kernel",
        ramdisk=there / "ramdisk",
        console=Path("/mnt/z/x.log"),
        machine="pc-99",
        cpu_mode="host-model",
    )
    text = domain_xml.for_restoring(domain_xml.build(SPEC, HOST, STAMP), SPEC, host, Stamp("web", "new", 8))
    domain = ET.fromstring(text)
    assert [s.get("file") for s in domain.findall("devices/disk/source")] == [f"{there}/disk", f"{there}/disk.vdb"]
    assert (domain.findtext("os/kernel"), domain.findtext("os/initrd")) == (f"{there}/kernel", f"{there}/ramdisk")
    assert one(domain, "devices/interface/source").attrib == {"bridge": "br9"}
    consoles = domain.findall("devices/serial/source") + domain.findall("devices/console/source")
    assert [source.get("path") for source in consoles] == ["/mnt/z/x.log"] * 2
    (element,) = domain.findall("metadata/*")
    assert read_stamp(ET.tostring(element, encoding="unicode")) == Stamp("web", "new", 8)
    seen = ET.fromstring(domain_xml.build(SPEC, HOST, STAMP))
    for what in ("os/type", "cpu", "memory", "vcpu"):
        old, new = seen.find(what), domain.find(what)
        assert [ET.tostring(e) for e in (old,) if e is not None] == [ET.tostring(e) for e in (new,) if e is not None]


def test_a_saved_domain_needs_its_networks() -> None:
    saved = domain_xml.build(SPEC, HOST, STAMP)
    with pytest.raises(DriverError, match="demo"):
        domain_xml.for_restoring(saved, SPEC, replace(HOST, bridges={}), STAMP)


def test_characters_that_libvirt_refuses_are_left_out_of_what_an_older_server_let_through() -> None:
    bad = "we\x1bb\ufffe\ud800\r\n2"
    spec = SPEC.model_copy(update={"name": bad, "kernel_args": "console=\x00ttyS0"})
    stamp = Stamp(bad, "operation", 1)
    for xml in (domain_xml.build(spec, HOST, stamp), stamp_xml(stamp)):
        assert xml_text.forbidden(xml) is None
        ET.fromstring(xml)
    assert ET.fromstring(domain_xml.build(spec, HOST, stamp)).findtext("title") == "web  2"
