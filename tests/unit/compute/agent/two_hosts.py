"""Two simulated hosts with a worker on each, an instance on one of them, and every call to a driver noted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrator.compute.agent.worker import Worker
from migrator.compute.image_cache import Fetch
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.state import MIB
from migrator.protocol import (
    Assignment,
    AttemptState,
    DiskSpec,
    DomainState,
    Ensure,
    Fact,
    GuestDescription,
    ImageRef,
    InstanceSpec,
    Message,
    MigratingInputs,
    PreparedInputs,
    Role,
)

SPEC = InstanceSpec(
    uuid="7d1f0a52-6f0a-4d3e-9a3b-0c5d0a3c9a10",
    name="one",
    vcpus=1,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1),),
)
BUILD, MOVE, OTHER = "op-build", "op-move", "op-other"


class Killed(BaseException):
    """``kill -9``: nothing catches it."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class NoImages:
    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:  # noqa: ARG002
        return {image.id: Path("/nowhere") for image in images}


class World:
    """Two hosts, a worker on each, an instance that runs on ``a``."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.simulation = SimulatedCluster(self.clock)
        self.journals: dict[str, list[bytes]] = {"a": [], "b": []}
        self.workers: dict[str, Worker] = {}
        self.calls: list[str] = []
        for name in self.journals:
            self.simulation.add_host(name, bandwidth_bytes_per_s=100 * MIB)
            self.restart(name)
        self.simulation.fault = self._record
        self.generation = 1

    def _record(self, host: str, method: str, when: str) -> None:
        if when == "before":
            self.calls.append(f"{host}.{method}")

    def restart(self, name: str) -> None:
        journal = LineJournal(MemoryMedium(self.journals[name]))
        self.workers[name] = Worker(SimulatedHypervisor(name, self.simulation), journal, NoImages(), self.clock)

    def act(self, host: str, ensure: Ensure, inputs: Message | None = None, **more: Any) -> Fact:
        return self.workers[host].act(assignment(ensure, inputs, **more))

    def boot(self) -> None:
        fact = self.act("a", Ensure.RUNNING, kind="build", operation_id=BUILD, role=Role.DESTINATION)
        assert fact.problem is None

    def guest(self) -> GuestDescription:
        found = self.act("a", Ensure.MOVABLE, operation_id=MOVE).guest
        assert found is not None
        return found

    def prepare(self) -> None:
        inputs = PreparedInputs(guest=self.guest())
        fact = self.act("b", Ensure.PREPARED, inputs, operation_id=MOVE, role=Role.DESTINATION)
        assert [disk.exists for disk in fact.disks] == [True]

    def transfer(self, epoch: int = 1, **wanted: Any) -> Fact:
        inputs = MigratingInputs(
            destination_host="b", destination_address="b", uri="simulated://b", copy_disks=("vda",), **wanted
        )
        return self.act("a", Ensure.MIGRATING, inputs, operation_id=MOVE, epoch=epoch)


def assignment(
    ensure: Ensure,
    inputs: Message | None = None,
    *,
    kind: str = "live-migration",
    operation_id: str = MOVE,
    epoch: int = 1,
    generation: int = 1,
    serial: int = 0,
    forward: bool = True,
    role: Role = Role.SOURCE,
    instance: InstanceSpec = SPEC,
) -> Assignment:
    return Assignment(
        operation_id=operation_id,
        kind=kind,
        epoch=epoch,
        generation=generation,
        serial=serial,
        phase="phase",
        forward=forward,
        role=role,
        ensure=ensure,
        instance=instance,
        inputs=inputs.model_dump(mode="json") if inputs is not None else {},
    )


def state(fact: Fact) -> DomainState | None:
    return fact.domain.state if fact.domain is not None else None


def attempt(fact: Fact) -> AttemptState | None:
    return fact.attempt.state if fact.attempt is not None else None
