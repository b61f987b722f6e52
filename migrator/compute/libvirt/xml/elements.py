"""Elements of libvirt's XML as they are written: text, and the whole as a string that libvirt's parser takes. Pure."""

import xml.etree.ElementTree as ET

from migrator.untrusted import xml_text


def written(element: ET.Element) -> str:
    """Without what libvirt's parser refuses: an older server let it into a name, and the instance is to start yet."""
    return xml_text.stripped(ET.tostring(element, encoding="unicode"))


def add_text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
