"""What a domain's XML tells about its guest: what it sees, which disks it has, and where its consoles listen.

Pure: it never talks to libvirt, and never writes XML. Sizes come out in MiB.
"""

import ipaddress
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from migrator.compute.libvirt.xml import volume as volume_xml

_HOSTS_OWN = ("host-passthrough", "host-model", "maximum")  # CPU modes that name no model


@dataclass(frozen=True, slots=True)
class GuestFacts:
    """What a domain's XML tells about the guest. ``memory_mb`` in MiB."""

    machine: str
    arch: str
    memory_mb: int
    vcpus: int
    cpu_xml: str | None
    passed_through: tuple[str, ...]


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


def read_listens(domain_xml: str) -> tuple[str, ...]:
    """Addresses on which graphics, serial ports and consoles listen. Those that every host has (0.0.0.0, ::, loopback)
    are left out, and so are names: the destination resolves them for itself."""
    devices = ET.fromstring(domain_xml).find("devices")
    if devices is None:
        return ()
    found = [graphics.get("listen", "") for graphics in devices.findall("graphics")]
    found += [listen.get("address", "") for listen in devices.findall("graphics/listen[@type='address']")]
    for source in devices.findall("*/source[@mode='bind']"):
        found.append(source.get("host", ""))
    return tuple(dict.fromkeys(address for text in found if (address := _of_one_host(text))))


def _of_one_host(text: str) -> str:
    """The address as it is always written; "" for one that every host has, and for a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return "" if address.is_unspecified or address.is_loopback else str(address)


_UNITS = {"KiB": 1, "k": 1, "MiB": 1024, "M": 1024, "GiB": 1024**2, "G": 1024**2}


def _mebibytes(memory: ET.Element | None) -> int:
    if memory is None:
        return 0
    return int(memory.text or 0) * _UNITS[memory.get("unit", "KiB")] // 1024


def _passed_through(domain: ET.Element) -> list[str]:
    found = [f"hostdev ({device.get('type', 'unknown')})" for device in domain.findall("devices/hostdev")]
    return found + ["interface (hostdev)" for _ in domain.findall("devices/interface[@type='hostdev']")]
