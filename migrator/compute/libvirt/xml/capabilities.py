"""What libvirt's XML tells about a host: its UUID, its CPU, the machine types it emulates, and the CPUs it can give a
guest.

Pure: it never talks to libvirt.
"""

import xml.etree.ElementTree as ET

from migrator.protocol import HostCpu


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


def read_offered_cpus(capabilities: str, virt_type: str) -> HostCpu:
    """The CPU of libvirt's domain capabilities: what host-model gives a guest, and the models that can be named."""
    found = ET.fromstring(capabilities)
    arch = found.findtext("arch", "x86_64")
    modes = {mode.get("name"): mode for mode in found.findall("cpu/mode[@supported='yes']")}
    models = () if (custom := modes.get("custom")) is None else tuple(custom.findall("model[@usable='yes']"))
    xml = ""
    if (host := modes.get("host-model")) is not None:
        host.tag = "cpu"
        host.attrib.clear()
        xml = ET.tostring(host, encoding="unicode").strip()
    return HostCpu(xml=xml, models=tuple(m.text or "" for m in models), arch=arch, virt_type=virt_type)
