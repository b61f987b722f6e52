"""Looks for ``libvirt-guests``, a service that starts guests when a host boots, without asking the server.

A guest that it starts may have been brought back elsewhere by then, or its disks may be older than the instance's.
Changes nothing: what a host's services do is its operator's to say. Settings and defaults: libvirt-guests(8); the
distributions differ in the defaults, which are written into the script itself.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

_UNIT = "libvirt-guests.service"
_SETTINGS = ("etc/default/libvirt-guests", "etc/sysconfig/libvirt-guests", "etc/conf.d/libvirt-guests")
_SCRIPTS = ("usr/libexec/libvirt-guests.sh", "usr/lib/libvirt/libvirt-guests.sh")
_HARMFUL = {
    "ON_BOOT": ("start", "starts guests when this host boots, also those that live elsewhere by then", "ignore"),
    "ON_SHUTDOWN": ("suspend", "keeps guests' memories when this host is shut down, and they may be old", "shutdown"),
}


def warnings(root: Path = Path("/")) -> tuple[str, ...]:
    """What of the service's settings harms instances, one sentence each; nothing where it is not enabled."""
    if not any((root / "etc/systemd/system").glob(f"*.wants/{_UNIT}")):
        return ()
    return tuple(
        f"libvirt-guests is enabled with {name}={harmful} and {does}: set {name}={instead}, or disable it"
        for name, (harmful, does, instead) in _HARMFUL.items()
        if _value(root, name) == harmful
    )


def _value(root: Path, name: str) -> str:
    """As the settings have it, else as the script has it, else as upstream has it."""
    assigned = re.compile(rf"""^\s*{name}=["']?(\w+)""", re.MULTILINE)
    found = [text for line in _texts(root, _SETTINGS) for text in assigned.findall(line)]
    found = found or [text for line in _texts(root, _SCRIPTS) for text in assigned.findall(line)[:1]]
    return str(found[-1]) if found else _HARMFUL[name][0]


def _texts(root: Path, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        with contextlib.suppress(OSError):
            yield (root / name).read_text(errors="replace")
