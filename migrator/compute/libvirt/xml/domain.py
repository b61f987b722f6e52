"""Domain XML, made from an instance's spec, and rewritten for another host.

Owns the shape of the domains that migrator defines. Pure: it never talks to libvirt and never touches a file. Sizes are
MiB going in, as ``InstanceSpec`` has them.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from migrator.compute.libvirt.xml import saved_domain
from migrator.compute.libvirt.xml import volume as volume_xml
from migrator.compute.libvirt.xml.elements import add_text, written
from migrator.compute.libvirt.xml.stamp import Stamp, set_seal, stamp_element
from migrator.errors import DriverError
from migrator.protocol import KERNEL, RAMDISK, DiskSpec, InstanceSpec, NetworkKind, NicSpec


@dataclass(frozen=True, slots=True)
class DiskPlace:
    """Where one disk of the spec lives on this host, the cache mode its filesystem allows, and what lies under it: the
    files and their formats, nearest first; None: not known, and libvirt finds out."""

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


def build(spec: InstanceSpec, host: HostShape, stamp: Stamp) -> str:
    """The persistent XML of ``spec`` on this host. Raises DriverError for a network the host does not have."""
    domain = ET.Element("domain", {"type": host.virt_type})
    add_text(domain, "name", spec.uuid)  # instance names repeat; libvirt's may not
    add_text(domain, "uuid", spec.uuid)
    add_text(domain, "title", spec.name.replace("\r", " ").replace("\n", " "))  # libvirt takes one line
    ET.SubElement(domain, "metadata").append(stamp_element(stamp))
    add_text(domain, "memory", str(spec.memory_mb), unit="MiB")
    add_text(domain, "vcpu", str(spec.vcpus), placement="static")
    _add_boot(domain, spec, host)
    features = ET.SubElement(domain, "features")
    for name in ("acpi", "apic"):
        ET.SubElement(features, name)
    _add_cpu(domain, host)
    ET.SubElement(domain, "clock", {"offset": "utc"})
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        add_text(domain, event, action)
    devices = ET.SubElement(domain, "devices")
    for disk in spec.disks:
        _add_disk(devices, disk, host.disks[disk.target])
    for volume in spec.volumes:
        volume_xml.add(devices, volume)
    for nic in spec.nics:
        _add_nic(devices, nic, host.bridges)
    _add_console(devices, host.console)
    return written(domain)


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
    if seal:
        set_seal(domain, seal)
    return written(domain)


def for_restoring(domain_xml: str, spec: InstanceSpec, host: HostShape, stamp: Stamp) -> str:
    """A saved domain as this host runs it on: its own files and bridges, and the stamp. What the guest can see stays as
    it was. Raises DriverError for a network the host does not have, and UnsafeDomain for what migrator never writes."""
    return written(saved_domain.restorable(domain_xml, build(spec, host, stamp)))


def _add_boot(domain: ET.Element, spec: InstanceSpec, host: HostShape) -> None:
    os_element = ET.SubElement(domain, "os")
    add_text(os_element, "type", "hvm", arch=host.arch, machine=host.machine)
    if host.kernel is None:
        ET.SubElement(os_element, "boot", {"dev": "hd"})
        return
    add_text(os_element, "kernel", str(host.kernel))
    if host.ramdisk is not None:
        add_text(os_element, "initrd", str(host.ramdisk))
    if spec.kernel_args:
        add_text(os_element, "cmdline", spec.kernel_args)


def _add_cpu(domain: ET.Element, host: HostShape) -> None:
    if host.cpu_mode == "none":
        return  # the emulator's own default model
    cpu = ET.SubElement(domain, "cpu", {"mode": host.cpu_mode})
    if host.cpu_mode == "custom":
        cpu.set("match", "exact")
        add_text(cpu, "model", host.cpu_model or "", fallback="forbid")


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


def _add_nic(devices: ET.Element, spec: NicSpec, bridges: Mapping[str, str]) -> None:
    nic = ET.SubElement(devices, "interface", {"type": "bridge"})
    ET.SubElement(nic, "mac", {"address": spec.mac})
    ET.SubElement(nic, "source", {"bridge": _bridge(spec, bridges)})
    # The network's kind and tag are about its own bridge: where the host's setting names another, that one is plain.
    own = spec.network in bridges
    if spec.kind == NetworkKind.OPENVSWITCH and not own:
        ET.SubElement(nic, "virtualport", {"type": "openvswitch"})
    if spec.vlan is not None and not own:
        ET.SubElement(ET.SubElement(nic, "vlan"), "tag", {"id": str(spec.vlan)})
    ET.SubElement(nic, "model", {"type": "virtio"})


def _bridge(nic: NicSpec, bridges: Mapping[str, str]) -> str:
    """The host's own setting goes before the network's bridge."""
    found = bridges.get(nic.network, nic.bridge)
    if not found:
        known = ", ".join(sorted(bridges)) or "none"
        raise DriverError(
            f"this host has no bridge for the network {nic.network} (it has: {known})",
            advice=f"add {nic.network} to the agent's setting networks, with the name of a bridge",
        )
    return found


def _add_console(devices: ET.Element, path: Path) -> None:
    for tag in ("serial", "console"):
        console = ET.SubElement(devices, tag, {"type": "file"})
        ET.SubElement(console, "source", {"path": str(path), "append": "on"})
        ET.SubElement(console, "target", {"port": "0"} | ({"type": "serial"} if tag == "console" else {}))
