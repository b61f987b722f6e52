"""What goes over a lab's bridge, as any machine on that network could see it."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cluster import AGENTS_PORT
from tests.waiting import wait_for

# Where libvirt puts a guest's memory and disks when QEMU itself sends them.
TRANSFERS = "tcp portrange 49152-49215"  # an agent's connection to its server may have one, too: see ``captured``
LIBVIRT = "tcp port 16509 or tcp port 16514"


@dataclass
class Wire:
    """Filled when the capture is over. ``dropped``: packets that went by uncaptured."""

    seen: bytes = b""
    dropped: int = 0

    @property
    def mib(self) -> float:
        return len(self.seen) / 2**20


@contextmanager
def captured(bridge: str, file: Path, which: str = TRANSFERS) -> Iterator[Wire]:
    """Everything of ``which`` that passes the bridge while the block runs, but for what agents tell their server."""
    which = f"({which}) and not tcp port {AGENTS_PORT}"
    command = ["tcpdump", "-i", bridge, "-n", "-s", "0", "-B", "65536", "-w", str(file), "-Z", "root", which]
    log = file.with_suffix(".log")
    wire = Wire()
    with log.open("wb") as message, subprocess.Popen(command, stderr=message, stdin=subprocess.DEVNULL) as tcpdump:
        try:
            wait_for(lambda: "listening on" in log.read_text() or tcpdump.poll() is not None, 10, "tcpdump to listen")
            assert tcpdump.poll() is None, log.read_text()
            yield wire
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.wait(20)
    lost = re.search(r"(\d+) packets dropped by kernel", log.read_text())
    assert lost is not None, log.read_text()
    wire.seen, wire.dropped = file.read_bytes(), int(lost[1])
    file.unlink()
