"""The stamp in a domain's metadata: written, read, and put in the place of another host's.

Owns migrator's namespace there. Pure. Any user may have written what is read.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from migrator.compute.libvirt.xml.elements import written
from migrator.errors import DriverError
from migrator.protocol import MAX_SEAL

NAMESPACE = "urn:migrator:instance:1"
PREFIX = "migrator"

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
        """Whether it can be told: a user may have written anything into the domain's metadata."""
        return len(self.operation_id) <= 36 and 0 <= self.epoch < 2**31 and len(self.seal) <= MAX_SEAL


def stamp_xml(stamp: Stamp) -> str:
    """The metadata element for libvirt's ``setMetadata``: bare, for libvirt itself adds namespace and prefix."""
    return written(stamp_element(stamp, ""))


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


def stamp_element(stamp: Stamp, namespace: str = f"{{{NAMESPACE}}}") -> ET.Element:
    """The metadata element in a domain that is written whole."""
    element = ET.Element(f"{namespace}instance")
    ET.SubElement(element, f"{namespace}name").text = stamp.name
    attributes = {"uuid": stamp.operation_id, "epoch": str(stamp.epoch)}
    attributes |= {"seal": stamp.seal} if stamp.seal else {}
    ET.SubElement(element, f"{namespace}operation", attributes)
    return element


def set_seal(domain: ET.Element, seal: str) -> None:
    """In a domain that bears a stamp; no-op in any other."""
    operation = domain.find(f"metadata/{{{NAMESPACE}}}instance/{{{NAMESPACE}}}operation")
    if operation is not None:
        operation.set("seal", seal)
