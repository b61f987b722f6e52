"""What libvirt's XML tells about moves in general: where consoles listen, and which CPUs a host can give a guest.

Pure: it never talks to libvirt.
"""

import ipaddress
import xml.etree.ElementTree as ET

from migrator.protocol import HostCpu


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


def read_host_cpu(capabilities: str, virt_type: str) -> HostCpu:
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
