"""A server process of our own for a benchmark, and what it weighs."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port


@contextlib.contextmanager
def running(database: str, image_dir: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Yields (URL of the server, its pid); ends with the process gone. ``port``: a known one, or a free one."""
    port = int(settings.pop("port", 0)) or free_port()
    environment = os.environ | {
        "MIGRATOR_DATABASE": database,
        "MIGRATOR_LISTEN": f"127.0.0.1:{port}",
        "MIGRATOR_IMAGE_DIR": str(image_dir),
        **dict.fromkeys(("MIGRATOR_QUOTA_INSTANCES", "MIGRATOR_QUOTA_CORES", "MIGRATOR_QUOTA_RAM"), "-1"),
        **{f"MIGRATOR_{k.upper()}": v for k, v in settings.items()},
    }
    argv = [sys.executable, "-m", "migrator.cli.main", "server"]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url + "/v2.1/", timeout=2):
            return
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS")
