"""A storage pool in libvirt's XML. Pure."""

import xml.etree.ElementTree as ET
from pathlib import Path

from migrator.compute.libvirt.xml.elements import add_text, written


def pool(name: str, directory: Path) -> str:
    """A storage pool over a directory."""
    element = ET.Element("pool", {"type": "dir"})
    add_text(element, "name", name)
    add_text(ET.SubElement(element, "target"), "path", str(directory))
    return written(element)
