"""A machine of the lab: a process that holds its namespaces open, so that everything else in it may die and return.

Owns the namespaces and what is mounted in them. Hosts and the file server are both machines.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from migrator.errors import LabError
from migrator.lab.layout import Layout
from migrator.lab.network import add_machine, limit_link, set_link
from migrator.lab.process import Process, members, run, spawn, wait_until


class Machine:
    """``number`` is also the last byte of its host UUID's seed; ``directory`` is what it has instead of the root's."""

    def __init__(
        self, layout: Layout, name: str, address: str, mounts: Sequence[tuple[str, str]], holder: Process | None = None
    ) -> None:
        self.layout = layout
        self.name = name
        self.address = address
        self.netns = f"{layout.prefix}{name}"
        self.directory = layout.root / name
        self._mounts = mounts
        self.holder = holder

    def up(self) -> None:
        """Make namespaces and mounts. The machine's files must be in its directory already."""
        add_machine(self.layout, self.netns, self.address)
        script = [f"hostname {self.name}"]
        for source, target in self._mounts:
            inside = self.directory / source
            if not inside.exists():
                inside.mkdir(parents=True)
            if inside.is_dir():
                Path(target).mkdir(parents=True, exist_ok=True)
            script.append(f"mount --bind '{inside}' {target}")
        ready = self.directory / "ready"
        script += [f"touch '{ready}'", "exec sleep infinity"]
        command = ["ip", "netns", "exec", self.netns, "unshare", "--mount", "--uts", "sh", "-ec", "; ".join(script)]
        log = self.directory / "machine.log"
        self.holder = spawn(command, log)
        holder = self.holder
        wait_until(lambda: ready.exists() or not holder.alive, 10, f"the namespaces of {self.name}", [log])
        if not holder.alive:
            raise LabError(f"{self.name}: {log.read_text().strip()}")

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` inside the machine."""
        if self.holder is None or not self.holder.alive:
            raise LabError(f"{self.name} is not up", advice="migrator lab up")
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-u", "-n", *argv]

    def run(self, argv: Sequence[str], *, check: bool = True, timeout: float = 60.0) -> str:
        """Standard output of ``argv`` run inside. Raises LabError when it fails, unless ``check`` is false."""
        return run(*self.enter(argv), check=check, timeout=timeout)

    def spawn(self, argv: Sequence[str], log: str, env: dict[str, str] | None = None) -> Process:
        """Start ``argv`` inside, its output in the machine's directory under ``log``; environment added to ours."""
        return spawn(self.enter(argv), self.directory / log, {**os.environ, **(env or {})})

    def processes(self) -> list[Process]:
        return members(self.netns)

    def cut_link(self) -> None:
        """Pull the cable: neither the server nor another machine can be reached."""
        set_link(self.netns, up=False)

    def restore_link(self) -> None:
        """Plug it in again, and wait until a packet comes through both ways: neighbours that were given up while it was
        cut are asked for again only then."""
        set_link(self.netns, up=True)
        ping = ["ping", "-q", "-n", "-c", "1", "-W", "1", self.layout.server_address]
        wait_until(lambda: "1 received" in self.run(ping, check=False), 10, f"the link of {self.name}")

    def limit_link(self, mib_s: int | None) -> None:
        """Let no more than ``mib_s`` MiB/s reach it; None: as fast as it goes."""
        limit_link(self.netns, mib_s)


def need(*commands: str) -> None:
    """Raises LabError, naming what is missing, unless root and every command are there."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes network and mount namespaces")
    missing = [command for command in commands if shutil.which(command, path=_PATH) is None]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}", advice="script/bootstrap installs the packages")


_PATH = os.pathsep.join(filter(None, [os.environ.get("PATH"), "/usr/sbin", "/sbin"]))
