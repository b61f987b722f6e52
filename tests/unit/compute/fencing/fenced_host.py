"""A host with a self-fencing lease, as the tests of fencing use it: its clock and boots, its driver, its guests."""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from migrator.compute.driver import Driver
from migrator.compute.fencing.lease import Lease
from migrator.compute.fencing.self_fencing import SelfFencing
from migrator.errors import DriverError, HypervisorUnavailable
from migrator.protocol import DomainEntry, DomainState, InstanceSpec

LENGTH = 300.0


SPEC = InstanceSpec(uuid="u", name="u", vcpus=1, memory_mb=64)


class Site:
    """A host with a clock of its own, one boot after another, and an agent that comes and goes."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.now, self.boot = path, 1000.0, "boot-1"
        if path is not None:  # its agent ran before, without a lease
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"host": "n1", "boot": self.boot, "contact": self.now, "believed": []}))

    def lease(self, wanted_s: float = LENGTH, host: str = "n1") -> Lease:
        return Lease(self.path, wanted_s, lambda: self.now, self.boot, host)

    def told(self, wanted_s: float = LENGTH) -> Lease:
        lease = self.lease(wanted_s)
        lease.promise()
        lease.promised(wanted_s)
        return lease


class Host:
    """A driver of four guests; each of ``stubborn`` needs one call more than the others."""

    def __init__(self) -> None:
        self.states = {
            "running": DomainState.RUNNING,
            "paused": DomainState.PAUSED,
            "incoming": DomainState.INCOMING,
            "off": DomainState.SHUT_OFF,
        }
        self.stubborn = {"paused"}
        self.destroyed: list[str] = []
        self.started: list[str] = []
        self.hang: threading.Event | None = None
        self.away = False
        self.storage_hangs = False

    def list_copies(self, *, live: bool = False) -> Sequence[DomainEntry]:
        assert live or not self.storage_hangs, "the storage was asked"
        if self.hang is not None:
            self.hang.wait(30)
        if self.away:
            raise HypervisorUnavailable("no libvirtd")
        return [DomainEntry(uuid=uuid, state=state) for uuid, state in self.states.items()]

    def destroy(self, uuid: str) -> None:
        self.destroyed.append(uuid)
        if uuid in self.stubborn:
            self.stubborn.discard(uuid)
            raise DriverError("busy")
        self.states[uuid] = DomainState.SHUT_OFF

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        del operation_id, epoch, machine, seal
        self.started.append(spec.uuid)

    restore_memory = define_and_start

    def living(self) -> set[str]:
        return {uuid for uuid, state in self.states.items() if state is not DomainState.SHUT_OFF}


def guard(site: Site, host: Host, watchdog: Path | None = None) -> SelfFencing:
    return SelfFencing(site.told(), cast(Driver, host), watchdog)


def until(locks_instance: Callable[[], bool]) -> None:
    for _ in range(500):
        if locks_instance():
            return
        threading.Event().wait(0.02)
    raise AssertionError("waited 10 s")
