"""Of the XML in a saved memory only what a guest can see is run on; what a host opens is its own, or is refused."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from migrator.compute.libvirt.xml import domain as domain_xml
from migrator.compute.libvirt.xml.domain import DiskPlace, HostShape
from migrator.compute.libvirt.xml.stamp import Stamp, read_stamp
from migrator.errors import UnsafeDomain
from migrator.protocol import DiskSpec, InstanceSpec, NicSpec, VolumeSpec
from tests.unit.compute.libvirt.xml.test_domain import one

UUID = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
SPEC = InstanceSpec(
    uuid=UUID,
    name="web",
    vcpus=2,
    memory_mb=64,
    disks=(
        DiskSpec(target="vda", pool="a", size_gb=1),
        DiskSpec(target="sda", pool="a", size_gb=0, format="raw", config_drive=True),
    ),
    volumes=(VolumeSpec(id="v", target="vdc", source="nbd://10.0.0.9:10809/data", size_gb=1),),
    nics=(NicSpec(network="demo", mac="52:54:00:00:00:01"),),
)
HERE = HostShape(
    virt_type="qemu",
    cpu_mode="none",
    cpu_model=None,
    machine="pc-here",
    arch="x86_64",
    console=Path("/here/console.log"),
    disks={"vda": DiskPlace(Path("/here/disk")), "sda": DiskPlace(Path("/here/disk.config"))},
    bridges={"demo": "br-here"},
)
STAMP = Stamp("web", "operation", 3)

# As libvirt 9 writes it into a saved memory
SAVED = f"""<domain type='qemu'>
  <name>{UUID}</name><uuid>{UUID}</uuid><title>web</title>
  <metadata><migrator:instance xmlns:migrator='urn:migrator:instance:1'><migrator:name>old</migrator:name>
    <migrator:operation uuid='old' epoch='1'/></migrator:instance></metadata>
  <memory unit='KiB'>65536</memory><currentMemory unit='KiB'>65536</currentMemory>
  <vcpu placement='static'>2</vcpu><resource><partition>/machine</partition></resource>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='full'><model fallback='forbid'>qemu64</model>
    <feature policy='require' name='x2apic'/></cpu>
  <clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='/there/disk'/>
      <backingStore type='file'><format type='raw'/><source file='/there/base'/><backingStore/></backingStore>
      <target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/></disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/there/disk.config'/>
      <target dev='sda' bus='sata'/><readonly/>
      <address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>
    <disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>
      <source protocol='nbd' name='data'><host name='10.6.6.6' port='10809'/></source>
      <target dev='vdc' bus='virtio'/><address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></disk>
    <controller type='usb' index='0' model='piix3-uhci'><address type='pci' slot='0x01' function='0x2'/></controller>
    <controller type='pci' index='0' model='pci-root'><alias name='pci.0'/></controller>
    <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br-there'/><target dev='vnet7'/>
      <model type='virtio'/><address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>
    <serial type='file'><source path='/there/console.log' append='on'/>
      <target type='isa-serial' port='0'><model name='isa-serial'/></target><alias name='serial0'/></serial>
    <console type='file'><source path='/there/console.log' append='on'/><target type='serial' port='0'/></console>
    <input type='mouse' bus='ps2'/><audio id='1' type='none'/>
    <memballoon model='virtio'><address type='pci' slot='0x06' function='0x0'/></memballoon>
  </devices>
  <seclabel type='dynamic' model='dac' relabel='yes'/>
</domain>"""


def restored(saved: str = SAVED) -> ET.Element:
    return ET.fromstring(domain_xml.for_restoring(saved, SPEC, HERE, STAMP))


def test_a_saved_domain_keeps_what_its_guest_saw_and_takes_all_else_from_this_host() -> None:
    domain, saved = restored(), ET.fromstring(SAVED)
    for what in ("memory", "currentMemory", "vcpu", "cpu", "clock", "features"):
        (old,), (new,) = saved.findall(what), domain.findall(what)
        assert ET.tostring(old).strip() == ET.tostring(new).strip()
    assert one(domain, "os/type").attrib == {"arch": "x86_64", "machine": "pc-i440fx-7.2"}
    assert [d.tag for d in one(domain, "devices")] == [d.tag for d in one(saved, "devices") if d.tag != "emulator"]
    old_places, new_places = saved.findall("devices/*/address"), domain.findall("devices/*/address")
    assert [place.attrib for place in new_places] == [place.attrib for place in old_places]
    text = ET.tostring(domain, encoding="unicode")
    assert "there" not in text
    assert "10.6.6.6" not in text, "the volume is where the record says"
    assert [s.get("file") for s in domain.findall("devices/disk/source")] == ["/here/disk", "/here/disk.config", None]
    assert [s.attrib for s in domain.findall("devices/interface/source")] == [{"bridge": "br-here"}]
    assert [m.get("type") for m in domain.findall("devices/interface/model")] == ["virtio"]
    (element,) = domain.findall("metadata/*")
    assert read_stamp(ET.tostring(element, encoding="unicode")) == STAMP


def test_the_emulator_of_another_host_is_not_run() -> None:
    domain = restored(SAVED.replace("/usr/bin/qemu-system-x86_64", "/dev/shm/any-program"))
    assert domain.find("devices/emulator") is None


def test_a_volume_or_disk_is_opened_in_the_records_format_and_place_alone() -> None:
    domain = restored(SAVED.replace("type='qcow2' cache='none'", "type='raw'"))
    assert one(domain, "devices/disk/driver").get("type") == "qcow2"
    assert domain.find("devices/disk/backingStore") is None


QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
DEVICES = {
    "a disk": "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vdz' bus='virtio'/></disk>",
    "a disk's name": "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vda'/></disk>",
    "a disk without a name": "<disk type='file'><source file='/etc/shadow'/></disk>",
    "a network card": "<interface type='bridge'><mac address='52:54:00:00:00:99'/><source bridge='x'/></interface>",
    "a program's card": "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><script path='/x'/></interface>",
    "a filesystem": "<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>",
    "a host device": "<hostdev mode='subsystem' type='pci'/>",
    "a channel": "<channel type='unix'><source path='/run/x'/></channel>",
    "a serial port": "<serial type='dev'><source path='/dev/tty0'/><target port='0'/></serial>",
    "a second console": "<console type='file'><source path='/etc/x'/><target port='7'/></console>",
    "graphics": "<graphics type='vnc' listen='0.0.0.0'/>",
    "a random source": "<rng model='virtio'><backend model='random'>/dev/sda</backend></rng>",
    "a device's ROM": "<video><model type='none'/><rom file='/etc/shadow'/></video>",
    "sound": "<audio id='1' type='file' path='/tmp/x'/>",
}
ELEMENTS = {
    "arguments": f"<q:commandline xmlns:q='{QEMU}'><q:arg value='-x'/></q:commandline>",
    "memory in a file": "<memoryBacking><source type='file'/></memoryBacking>",
    "a second boot": "<bootloader>/bin/sh</bootloader>",
    "system tables": "<sysinfo type='fwcfg'><entry name='x' file='/etc/shadow'/></sysinfo>",
}


@pytest.mark.parametrize("what", list(DEVICES))
def test_a_device_that_migrator_does_not_write_is_refused(what: str) -> None:
    with pytest.raises(UnsafeDomain, match="the saved memory") as refused:
        restored(SAVED.replace("</devices>", f"{DEVICES[what]}</devices>"))
    assert refused.value.code == "unsafe_domain"


@pytest.mark.parametrize("what", list(ELEMENTS))
def test_an_element_that_migrator_does_not_write_is_refused(what: str) -> None:
    with pytest.raises(UnsafeDomain, match="the saved memory has <"):
        restored(SAVED.replace("</domain>", f"{ELEMENTS[what]}</domain>"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"<uuid>{UUID}", "<uuid>another", "another domain's"),
        (f"<name>{UUID}", "<name>another", "another domain's"),
        ("<domain type='qemu'", "<domain type='xen'", "of the type 'xen'"),
        ("<os>", "<os><loader type='pflash'>/etc/shadow</loader>", "<os><loader>"),
        ("machine='pc-i440fx-7.2'", "machine='/x'", "names '/x'"),
        ("<acpi/>", "<acpi x='/etc/shadow'/>", "names '/etc/shadow'"),
        ("<alias name='pci.0'/>", "<driver path='/dev/x'/>", "names '/dev/x'"),
    ],
)
def test_a_saved_domain_that_is_another_or_names_a_file_is_refused(old: str, new: str, message: str) -> None:
    assert old in SAVED
    with pytest.raises(UnsafeDomain, match=message):
        restored(SAVED.replace(old, new))
