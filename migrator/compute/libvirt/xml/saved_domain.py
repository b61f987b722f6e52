"""The XML that a saved memory brings along, made into what this host may run.

A saved memory may come from another host, and with it the domain's XML: a program to run as the emulator, devices,
files and arguments that this host would open. So what the host itself writes of a domain (``domain.build``) stands,
and of the saved one only what the guest can see goes over it: its machine, its processor, and where its devices are.
All else is refused by its name. Pure: it never talks to libvirt and never touches a file.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping

from migrator.errors import UnsafeDomain

_SHOWN = 100  # characters of what another host wrote
_ADVICE = "the host that saved it changed it, or a user did there: start the instance from its disks instead"

# Of the domain: what the guest can see, taken as it is if it names nothing of the host
_SEEN = ("memory", "currentMemory", "maxMemory", "vcpu", "vcpus", "cpu", "features", "clock", "pm", "iothreads")
# This host's own, whatever the other one had: made anew, or libvirt's choice
_OWN = ("name", "uuid", "title", "metadata", "os", "devices", "on_poweroff", "on_reboot", "on_crash")
_DROPPED = ("description", "resource", "seclabel", "cputune", "memtune", "numatune", "blkiotune", "genid")
_BOOT = ("type", "kernel", "initrd", "cmdline", "boot", "bootmenu", "bios")
_TYPES = ("kvm", "qemu")
# Of the devices: what libvirt adds on its own, and what has no part outside of the guest
_BUILT_IN = ("controller", "input", "hub", "memballoon", "watchdog", "panic", "video", "sound", "audio", "nvram")
# What migrator writes: the tag -> the path and attribute by which the saved one is found again
_WRITTEN = {
    "disk": ("target", "dev"),
    "interface": ("mac", "address"),
    "serial": ("target", "port"),
    "console": ("target", "port"),
}
# Of the disks and cards, what only libvirt knew; where a disk's file or a card's bridge is, the host says
_KEPT: Mapping[str, tuple[str, ...]] = {"serial": ("target", "address"), "console": ("target", "address")}


def restorable(saved_xml: str, own_xml: str) -> ET.Element:
    """The domain of a saved memory as this host runs it on; ``own_xml``: as it would define the instance itself. Raises
    UnsafeDomain for what migrator does not write."""
    saved, own = ET.fromstring(saved_xml), ET.fromstring(own_xml)
    _refuse_another(saved, own)
    own.set("type", saved.get("type", ""))
    for element in saved:
        if element.tag in _SEEN:
            _refuse_paths(element, element.tag)
            _put(own, element)
        elif element.tag not in (*_OWN, *_DROPPED):
            raise UnsafeDomain(f"the saved memory has <{_plain(element.tag)}>", advice=_ADVICE)
    for tag in _SEEN:
        if saved.find(tag) is None:
            _remove(own, tag)
    _take_machine(saved, own)
    _take_devices(saved.find("devices"), own)
    return own


def _refuse_another(saved: ET.Element, own: ET.Element) -> None:
    if saved.get("type") not in _TYPES:
        raise UnsafeDomain(
            f"the saved memory is of a domain of the type {saved.get('type', '')[:_SHOWN]!r}", advice=_ADVICE
        )
    for tag in ("uuid", "name"):
        if saved.findtext(tag) != own.findtext(tag):
            found = saved.findtext(tag, "")[:_SHOWN]
            raise UnsafeDomain(f"the saved memory is another domain's: its {tag} is {found!r}", advice=_ADVICE)


def _take_machine(saved: ET.Element, own: ET.Element) -> None:
    for element in saved.findall("os/*"):
        if element.tag not in _BOOT:
            raise UnsafeDomain(f"the saved memory has <os><{_plain(element.tag)}>", advice=_ADVICE)
    old, new = saved.find("os/type"), own.find("os/type")
    if old is not None and new is not None:
        for name in ("arch", "machine"):
            new.set(name, _without_path(old.get(name, ""), f"os/type/{name}"))


def _take_devices(saved: ET.Element | None, own: ET.Element) -> None:
    devices = own.find("devices")
    written = {key: element for element in ([] if devices is None else devices) for key in _keys(element)}
    if devices is not None:
        own.remove(devices)
    made = ET.SubElement(own, "devices")
    for element in [] if saved is None else saved:
        if element.tag in _BUILT_IN and element.get("type") != "file":
            _refuse_paths(element, element.tag)
            made.append(element)
        elif element.tag in _WRITTEN:
            made.append(_mine(element, written))
        elif element.tag != "emulator":  # libvirt takes this host's
            raise UnsafeDomain(f"the saved memory has the device <{_plain(element.tag)}>", advice=_ADVICE)


def _mine(saved: ET.Element, written: Mapping[tuple[str, str], ET.Element]) -> ET.Element:
    """The device as this host writes it, where the guest saw it."""
    found = [written[key] for key in _keys(saved) if key in written]
    if not found or found[0].get("type") != saved.get("type"):
        what = ", ".join(value[:_SHOWN] for _, value in _keys(saved)) or "without a name"
        raise UnsafeDomain(
            f"the saved memory has a <{saved.tag}> that is not the instance's own: {what} "
            f"({saved.get('type', '')[:_SHOWN]})",
            advice=_ADVICE,
        )
    for tag in _KEPT.get(saved.tag, ("address",)):
        if (seen := saved.find(tag)) is not None:
            _refuse_paths(seen, f"{saved.tag}/{tag}")
            _put(found[0], seen)
    return found[0]


def _keys(element: ET.Element) -> Iterator[tuple[str, str]]:
    if element.tag in _WRITTEN:
        path, attribute = _WRITTEN[element.tag]
        named = element.find(path)
        if named is not None and attribute in named.attrib:
            yield element.tag, named.attrib[attribute].lower()


def _put(parent: ET.Element, element: ET.Element) -> None:
    """In the place of the one of that name."""
    _remove(parent, element.tag)
    parent.append(element)


def _remove(parent: ET.Element, tag: str) -> None:
    for old in parent.findall(tag):
        parent.remove(old)


def _refuse_paths(element: ET.Element, where: str) -> None:
    for part in element.iter():
        _without_path(_plain(part.tag) if "{" in part.tag else "", where)
        for value in (part.text or "", *part.attrib.values()):
            _without_path(value, where)


def _without_path(value: str, where: str) -> str:
    if "/" in value or "://" in value:
        raise UnsafeDomain(f"the saved memory names {value[:_SHOWN]!r} in <{where}>", advice=_ADVICE)
    return value


def _plain(tag: str) -> str:
    """A namespace is long, and says as much as what stands in it: ``commandline``."""
    return tag.rpartition("}")[2][:_SHOWN]
