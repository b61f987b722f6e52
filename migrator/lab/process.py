"""Processes of the lab: run, start, watch and end them, by pid and by network namespace.

Owns the rule for telling a process of the lab from a stranger: it lives in one of the lab's network namespaces, or its
pid and its start time are those that were recorded. Never matches by a command's name.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrator.errors import LabError

NETNS = Path("/run/netns")
PATIENCE = 4  # a machine so many times slower than a quiet one still comes in time
_children: dict[int, subprocess.Popen[bytes]] = {}  # started by this process: to be reaped by it


@dataclass(frozen=True, slots=True)
class Process:
    """``started``: clock ticks since boot, so that a reused pid is not mistaken for the one that was recorded."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        if child := _children.get(self.pid):
            child.poll()
        return _state(self.pid) == (self.started, True)

    def send(self, number: int) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self, number: int = signal.SIGKILL, timeout: float = 10.0) -> None:
        """Signal it and wait until it is gone. Raises LabError when it is not, as ``wait_until`` does."""
        self.send(number)
        wait_until(lambda: not self.alive, timeout, f"process {self.pid} to end")


def run(*command: str, check: bool = True, timeout: float = 60.0) -> str:
    """The command's standard output. ``timeout``: the seconds that it takes on a quiet machine at the most.

    Raises LabError with its standard error, or when it lasts ``PATIENCE`` times ``timeout``. Without ``check`` neither
    is an error, and a command that lasts too long has no output.
    """
    bound = PATIENCE * timeout
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=bound, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        if check:
            raise LabError(f"{' '.join(command)}: no end after {bound:.0f} s") from error
        return ""
    if check and done.returncode:
        message = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(command)}: {message or f'exit status {done.returncode}'}")
    return done.stdout


def spawn(command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> Process:
    """Start a process that outlives this one, its output appended to ``log``."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=env
        )
    _children[child.pid] = child
    return Process(child.pid, _state(child.pid)[0])


def wait_until(done: Callable[[], bool], timeout: float, what: str, logs: Iterable[Path] = ()) -> None:
    """Poll ``done`` until true. ``timeout``: the seconds that a quiet machine needs at the most.

    Raises LabError after ``PATIENCE`` times that, with the end of each of ``logs``.
    """
    deadline = time.monotonic() + PATIENCE * timeout
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"waited {PATIENCE * timeout:.0f} s in vain for {what}{log_tails(logs)}")
        time.sleep(0.02)


def log_tails(logs: Iterable[Path], length: int = 1500) -> str:
    """The last ``length`` characters of each log, below a line with its name; "" for none."""
    tails = [f"\n--- {log.name}\n{log.read_text(errors='replace')[-length:]}" for log in logs if log.exists()]
    return "".join(tails)


def namespaces(prefix: str) -> list[str]:
    """Names of the network namespaces that begin with ``prefix``."""
    return sorted(path.name for path in NETNS.glob(f"{prefix}*")) if NETNS.is_dir() else []


def members(netns: str) -> list[Process]:
    """Every living process inside the network namespace."""
    with contextlib.suppress(FileNotFoundError):
        wanted = (NETNS / netns).stat()
        return [found for entry in Path("/proc").glob("[0-9]*") if (found := _member(entry, wanted))]
    return []


def end_members(netns: str, timeout: float = 10.0) -> None:
    """Kill every process in the namespace, also those that start in this time, until none is left."""

    def empty() -> bool:
        found = members(netns)
        for process in found:
            process.send(signal.SIGKILL)
        return not found

    wait_until(empty, timeout, f"the processes in {netns} to end")


def _member(entry: Path, wanted: os.stat_result) -> Process | None:
    try:
        inside = (entry / "ns/net").stat()
    except OSError:
        return None  # it ended while we looked
    if (inside.st_dev, inside.st_ino) != (wanted.st_dev, wanted.st_ino):
        return None
    process = Process(int(entry.name), _state(int(entry.name))[0])
    return process if process.alive else None


def _state(pid: int) -> tuple[int, bool]:
    """Start time and whether it runs; (0, False) for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, False
    return int(fields[19]), fields[0] not in "ZX"
