"""A volume in libvirt's domain XML: a disk on the network. Pure."""

import xml.etree.ElementTree as ET

from migrator.errors import MigratorError
from migrator.protocol import VolumeSpec, volume_source


def add(devices: ET.Element, volume: VolumeSpec) -> None:
    """Past every cache of the host's, so that a guest that was moved reads what it wrote."""
    where = volume_source.parse(volume.source)
    disk = ET.SubElement(devices, "disk", {"type": "network", "device": "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw", "cache": "none"})
    source = ET.SubElement(disk, "source", {"protocol": "nbd", "name": where.export})
    ET.SubElement(source, "host", {"name": where.host, "port": str(where.port)})
    ET.SubElement(disk, "target", {"dev": volume.target, "bus": "virtio"})


def source(element: ET.Element) -> str:
    """Where the disk is whose ``<source>`` this is, in its canonical form; "" for what is no volume."""
    host = element.find("host")
    if element.get("protocol") != "nbd" or host is None:
        return ""
    name = host.get("name", "")
    bracketed = f"[{name}]" if ":" in name else name
    port = host.get("port", volume_source.NBD_PORT)
    try:
        return str(volume_source.parse(f"nbd://{bracketed}:{port}/{element.get('name', '')}"))
    except MigratorError:
        return ""
