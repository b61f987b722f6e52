"""Domain XML: made from an instance's spec, stamped, read, and rewritten for another host.

Owns every element and path expression of libvirt's domain XML. Pure: it never talks to libvirt and never touches a
file. Sizes are MiB going in, as ``InstanceSpec`` has them.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from migrator.compute.libvirt.xml import saved_domain
from migrator.compute.libvirt.xml import volume as volume_xml
from migrator.errors import DriverError
from migrator.protocol import KERNEL, MAX_SEAL, RAMDISK, DiskSpec, InstanceSpec
from migrator.untrusted import xml_text

NAMESPACE = "urn:migrator:instance:1"
PREFIX = "migrator"

_HOSTS_OWN = ("host-passthrough", "host-model", "maximum")  # CPU modes that name no model

ET.register_namespace(PREFIX, NAMESPACE)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who touched the domain last: the operation's UUID and its epoch, beside the instance's name, and the seal that
    shows a server that a server issued it."""

    name: str
    operation_id: str
    epoch: int
    seal: str = ""

    @property
    def sound(self) -> bool:
        """Whether it can be told: somebody may have written anything into the domain's metadata."""
        return len(self.operation_id) <= 36 and 0 <= self.epoch < 2**31 and len(self.seal) <= MAX_SEAL


@dataclass(frozen=True, slots=True)
class DiskPlace:
    """Where one disk of the spec lives on this host, the cache mode its filesystem allows, and what lies under it: the
    files and their formats, nearest first; None: not known, which libvirt finds out by itself."""

    path: Path
    cache: str = "none"
    under: tuple[tuple[Path, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class HostShape:
    """All of a host that goes into a domain's XML."""

    virt_type: str
    cpu_mode: str
    cpu_model: str | None
    machine: str
    arch: str
    console: Path
    disks: Mapping[str, DiskPlace] = field(default_factory=dict)  # target -> place
    bridges: Mapping[str, str] = field(default_factory=dict)  # network -> bridge
    kernel: Path | None = None
    ramdisk: Path | None = None


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What a domain's XML tells about the guest. ``memory_mb`` in MiB."""

    machine: str
    arch: str
    memory_mb: int
    vcpus: int
    cpu_xml: str | None
    passed_through: tuple[str, ...]


def build(spec: InstanceSpec, host: HostShape, stamp: Stamp) -> str:
    """The persistent XML of ``spec`` on this host. Raises DriverError for a network the host does not have."""
    domain = ET.Element("domain", {"type": host.virt_type})
    _text(domain, "name", spec.uuid)  # instance names repeat; libvirt's may not
    _text(domain, "uuid", spec.uuid)
    _text(domain, "title", spec.name.replace("\r", " ").replace("\n", " "))  # libvirt takes one line
    ET.SubElement(domain, "metadata").append(_stamp_element(stamp))
    _text(domain, "memory", str(spec.memory_mb), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus), placement="static")
    _add_boot(domain, spec, host)
    features = ET.SubElement(domain, "features")
    for name in ("acpi", "apic"):
        ET.SubElement(features, name)
    _add_cpu(domain, host)
    ET.SubElement(domain, "clock", {"offset": "utc"})
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, action)
    devices = ET.SubElement(domain, "devices")
    for disk in spec.disks:
        _add_disk(devices, disk, host.disks[disk.target])
    for volume in spec.volumes:
        volume_xml.add(devices, volume)
    for nic in spec.nics:
        _add_nic(devices, nic.network, nic.mac, host.bridges)
    _add_console(devices, host.console)
    return _written(domain)


def stamp_xml(stamp: Stamp) -> str:
    """The metadata element for libvirt's ``setMetadata``: bare, for libvirt itself adds namespace and prefix."""
    return _written(_stamp_element(stamp, ""))


def pool(name: str, directory: Path) -> str:
    """A storage pool over a directory."""
    element = ET.Element("pool", {"type": "dir"})
    _text(element, "name", name)
    _text(ET.SubElement(element, "target"), "path", str(directory))
    return _written(element)


def read_stamp(metadata: str) -> Stamp:
    """The stamp in a metadata element. Raises DriverError when it was tampered with."""
    element = ET.fromstring(metadata)
    values = {child.tag.rpartition("}")[2]: child for child in element}
    try:
        operation = values["operation"]
        return Stamp(
            name=values["name"].text or "",
            operation_id=operation.attrib["uuid"],
            epoch=int(operation.attrib["epoch"]),
            seal=operation.attrib.get("seal", ""),
        )
    except (KeyError, ValueError) as error:
        raise DriverError(f"the domain's metadata cannot be read: {metadata}") from error


def read_guest(domain_xml: str, capabilities: str | None = None, *, off: bool = False) -> GuestFacts:
    """Machine, memory, CPU and pass-through devices of a domain. A guest that sees the host's own CPU names no model:
    its CPU is the one in the host's ``capabilities``. One that is ``off`` gets the CPU of the host that it starts on
    next, unless it names a model."""
    domain = ET.fromstring(domain_xml)
    os_type = domain.find("os/type")
    cpu = domain.find("cpu")
    if off and cpu is not None and cpu.get("mode") in _HOSTS_OWN:
        cpu = None
    if capabilities and cpu is not None and cpu.get("mode") == "host-passthrough":
        cpu = ET.fromstring(capabilities).find("host/cpu")
    return GuestFacts(
        machine="" if os_type is None else os_type.get("machine", ""),
        arch="x86_64" if os_type is None else os_type.get("arch", "x86_64"),
        memory_mb=_mebibytes(domain.find("memory")),
        vcpus=int(domain.findtext("vcpu", "0")),
        cpu_xml=None if cpu is None else ET.tostring(cpu, encoding="unicode").strip(),
        passed_through=tuple(_passed_through(domain)),
    )


def read_disks(domain_xml: str) -> dict[str, str]:
    """The domain's disks, CD-ROMs left out: target -> what they are: a file's path, or a volume's source."""
    found = {}
    for disk in ET.fromstring(domain_xml).findall("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        if disk.get("device", "disk") == "disk" and target is not None:
            where = "" if source is None else source.get("file", "") or volume_xml.source(source)
            found[target.get("dev", "")] = where or disk.get("type", "nothing")
    return found


def for_destination(domain_xml: str, disk_paths: Mapping[str, str], *, seal: str = "") -> str:
    """The same domain with its disks where the destination keeps them (``disk_paths``: target -> path), and with the
    destination's own ``seal``, if there is one.

    Kernel and ramdisk are where ``disk_paths`` says, or follow the first disk's directory when they lie beside it. The
    backing chain is left out of
    disks that change their path: the destination's own chain is what libvirt must find there.
    """
    domain = ET.fromstring(domain_xml)
    moved: dict[PurePath, PurePath] = {}
    for disk in domain.findall("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        new = disk_paths.get("" if target is None else target.get("dev", ""))
        if source is None or new is None or (old := source.get("file")) is None or old == new:
            continue
        source.set("file", new)
        moved[PurePath(old).parent] = PurePath(new).parent
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    for name, file in (("os/kernel", KERNEL), ("os/initrd", RAMDISK)):
        boot = domain.find(name)
        if boot is not None and boot.text and (directory := moved.get(PurePath(boot.text).parent)):
            boot.text = str(directory / PurePath(boot.text).name)
        if boot is not None and file in disk_paths:
            boot.text = disk_paths[file]
    stamped = domain.find(f"metadata/{{{NAMESPACE}}}instance/{{{NAMESPACE}}}operation")
    if seal and stamped is not None:
        stamped.set("seal", seal)
    return _written(domain)


def for_restoring(domain_xml: str, spec: InstanceSpec, host: HostShape, stamp: Stamp) -> str:
    """A saved domain as this host runs it on: its own files and bridges, and the stamp. What the guest can see stays as
    it was. Raises DriverError for a network the host does not have, and UnsafeDomain for what migrator never writes."""
    return _written(saved_domain.restorable(domain_xml, build(spec, host, stamp)))


def read_host_uuid(capabilities: str) -> str:
    """libvirt's UUID of the host: its firmware's, unless libvirtd's configuration sets another."""
    return ET.fromstring(capabilities).findtext("host/uuid", "")


def read_host_cpu(capabilities: str) -> tuple[str, str, tuple[str, ...], dict[str, int]]:
    """The host's CPU in libvirt's capabilities: model, vendor, features, topology."""
    cpu = ET.fromstring(capabilities).find("host/cpu")
    if cpu is None:
        return "", "", (), {}
    topology = cpu.find("topology")
    counts = {} if topology is None else {key: int(value) for key, value in topology.items() if value.isdigit()}
    features = tuple(feature.get("name", "") for feature in cpu.findall("feature"))
    return cpu.findtext("model", ""), cpu.findtext("vendor", ""), features, counts


def read_machines(capabilities: str, arch: str) -> tuple[str, ...]:
    """Every machine type, aliases included, that the host emulates for ``arch``."""
    machines = ET.fromstring(capabilities).findall(f"guest/arch[@name='{arch}']//machine")
    return tuple(dict.fromkeys(name for machine in machines if (name := (machine.text or "").strip())))


def _written(element: ET.Element) -> str:
    """Without what libvirt's parser refuses: an older server let it into a name, and the instance is to start yet."""
    return xml_text.stripped(ET.tostring(element, encoding="unicode"))


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _stamp_element(stamp: Stamp, namespace: str = f"{{{NAMESPACE}}}") -> ET.Element:
    element = ET.Element(f"{namespace}instance")
    ET.SubElement(element, f"{namespace}name").text = stamp.name
    attributes = {"uuid": stamp.operation_id, "epoch": str(stamp.epoch)}
    attributes |= {"seal": stamp.seal} if stamp.seal else {}
    ET.SubElement(element, f"{namespace}operation", attributes)
    return element


def _add_boot(domain: ET.Element, spec: InstanceSpec, host: HostShape) -> None:
    os_element = ET.SubElement(domain, "os")
    _text(os_element, "type", "hvm", arch=host.arch, machine=host.machine)
    if host.kernel is None:
        ET.SubElement(os_element, "boot", {"dev": "hd"})
        return
    _text(os_element, "kernel", str(host.kernel))
    if host.ramdisk is not None:
        _text(os_element, "initrd", str(host.ramdisk))
    if spec.kernel_args:
        _text(os_element, "cmdline", spec.kernel_args)


def _add_cpu(domain: ET.Element, host: HostShape) -> None:
    if host.cpu_mode == "none":
        return  # the emulator's own default model
    cpu = ET.SubElement(domain, "cpu", {"mode": host.cpu_mode})
    if host.cpu_mode == "custom":
        cpu.set("match", "exact")
        _text(cpu, "model", host.cpu_model or "", fallback="forbid")


_BUSES = {"sd": "sata", "hd": "ide"}  # by how the guest names the device; any other is virtio's


def _add_disk(devices: ET.Element, spec: DiskSpec, place: DiskPlace) -> None:
    disk = ET.SubElement(devices, "disk", {"type": "file", "device": "cdrom" if spec.config_drive else "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": spec.format, "cache": place.cache})
    ET.SubElement(disk, "source", {"file": str(place.path)})
    if place.under is not None:
        _add_chain(disk, place.under)
    ET.SubElement(disk, "target", {"dev": spec.target, "bus": _BUSES.get(spec.target[:2], "virtio")})
    if spec.config_drive:
        ET.SubElement(disk, "readonly")


def _add_chain(disk: ET.Element, under: tuple[tuple[Path, str], ...]) -> None:
    """With it libvirt and QEMU open these files and no other: a header is not asked. An empty element ends it."""
    for path, disk_format in under:
        disk = ET.SubElement(disk, "backingStore", {"type": "file"})
        ET.SubElement(disk, "format", {"type": disk_format})
        ET.SubElement(disk, "source", {"file": str(path)})
    ET.SubElement(disk, "backingStore")


def _add_nic(devices: ET.Element, network: str, mac: str, bridges: Mapping[str, str]) -> None:
    nic = ET.SubElement(devices, "interface", {"type": "bridge"})
    ET.SubElement(nic, "mac", {"address": mac})
    ET.SubElement(nic, "source", {"bridge": _bridge(network, bridges)})
    ET.SubElement(nic, "model", {"type": "virtio"})


def _bridge(network: str, bridges: Mapping[str, str]) -> str:
    if network not in bridges:
        known = ", ".join(sorted(bridges)) or "none"
        raise DriverError(
            f"this host has no bridge for the network {network} (it has: {known})",
            advice=f"add {network} to the agent's setting networks, with the name of a bridge",
        )
    return bridges[network]


def _add_console(devices: ET.Element, path: Path) -> None:
    for tag in ("serial", "console"):
        console = ET.SubElement(devices, tag, {"type": "file"})
        ET.SubElement(console, "source", {"path": str(path), "append": "on"})
        ET.SubElement(console, "target", {"port": "0"} | ({"type": "serial"} if tag == "console" else {}))


_UNITS = {"KiB": 1, "k": 1, "MiB": 1024, "M": 1024, "GiB": 1024**2, "G": 1024**2}


def _mebibytes(memory: ET.Element | None) -> int:
    if memory is None:
        return 0
    return int(memory.text or 0) * _UNITS[memory.get("unit", "KiB")] // 1024


def _passed_through(domain: ET.Element) -> list[str]:
    found = [f"hostdev ({device.get('type', 'unknown')})" for device in domain.findall("devices/hostdev")]
    return found + ["interface (hostdev)" for _ in domain.findall("devices/interface[@type='hostdev']")]
