"""The steps that tests of cold moves begin with, on ``two_hosts``."""

import pytest

from migrator.protocol import (
    CopiedInputs,
    DomainState,
    Ensure,
    Fact,
    GuestDescription,
    OfferedInputs,
    PoweredInputs,
    Role,
    ShutOffInputs,
    TargetPowerState,
)
from tests.unit.compute.agent.two_hosts import OTHER, World, state

NOW = ShutOffInputs(soft=False)


def stop(world: World) -> None:
    assert state(world.act("a", Ensure.SHUT_OFF, NOW)) is DomainState.SHUT_OFF


def suspend(world: World) -> None:
    assert state(world.act("a", Ensure.SUSPENDED, kind="suspend", operation_id=OTHER)) is DomainState.SAVED


def described(world: World) -> GuestDescription:
    guest = world.act("a", Ensure.DESCRIBED).guest
    assert guest is not None
    return guest


def copy(world: World, *targets: str, epoch: int = 1) -> Fact:
    inputs = CopiedInputs(guest=GuestDescription(), source_uri="simulated://a", copy_disks=targets)
    return world.act("b", Ensure.COPIED, inputs, role=Role.DESTINATION, epoch=epoch)


def offer(world: World, *targets: str) -> Fact:
    return world.act("a", Ensure.OFFERED, OfferedInputs(copy_disks=targets))


def copied(world: World, *targets: str) -> Fact:
    """Both ends until the copy and its checksums are there."""
    for _ in range(100):
        offer(world, *targets)
        fact = copy(world, *targets)
        if all(sums(fact).get(target) for target in targets):
            return fact
        world.clock.now += 0.2
    pytest.fail(f"no checksums: {fact}")


def power(world: World, host: str, wanted: TargetPowerState, *, epoch: int = 1) -> Fact:
    return world.act(host, Ensure.POWERED, PoweredInputs(power=wanted), role=Role.DESTINATION, epoch=epoch)


def sums(fact: Fact) -> dict[str, str]:
    return {disk.target: disk.checksum for disk in fact.disks if disk.checksum is not None}
