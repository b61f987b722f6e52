"""Filters, ranking, the inputs of assignments, and when a fact satisfies one: pure functions against tables."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.protocol import (
    CheckResult,
    DiskSpec,
    Ensure,
    Fact,
    GuestDescription,
    HostReport,
    InstanceSpec,
    StoragePool,
)
from migrator.scheduler import reading
from migrator.scheduler.assign import TransferLimits, assignments
from migrator.scheduler.decide import decide
from migrator.scheduler.filters import Candidate, Need, rank, refusals
from migrator.scheduler.snapshot import HostView, OperationView, Snapshot

SPEC = InstanceSpec(
    uuid="i",
    name="i",
    vcpus=2,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1), DiskSpec(target="vdb", pool="shared", size_gb=1)),
)
GUEST = GuestDescription(machine="pc-7", arch="x86_64", hypervisor_version=7, storage={"local": "A", "shared": "G"})
NEED = Need(instance=SPEC, vcpus=2, memory_mb=512, disk_gb=2, source="a", guest=GUEST)


def report(local: str = "B", shared: str = "G", **changes: Any) -> HostReport:
    storage = {
        n: StoragePool(identity=i, path="/", total_gb=9, free_gb=9) for n, i in (("local", local), ("shared", shared))
    }
    values = {
        "vcpus": 8,
        "memory_mb": 4096,
        "address": "10.0.0.2",
        "live_migration_uri": "qemu+tcp://10.0.0.2/system",
        "storage": storage,
        "machine_types": ("pc-7", "pc-8"),
        "hypervisor_version": 7,
    }
    return HostReport(**(values | changes))


def candidate(
    name: str = "b", *, view: dict[str, Any] | None = None, free: Any = (8, 4096, 9), **changes: Any
) -> Candidate:
    host = HostView(name=name, report=report(**changes), silent_s=0, up=True)
    return Candidate(replace(host, **(view or {})), *free)


REFUSALS = [
    (candidate(), NEED, []),
    (candidate("a"), NEED, ["the instance is there already"]),
    (candidate(), replace(NEED, refused={"b": ["no CPU", "no disk"]}), ["no CPU, no disk"]),
    (candidate(view={"up": False, "silent_s": 75.4}), NEED, ["its agent is down (silent for 75 s)"]),
    (candidate(view={"up": False, "forced_down": True}), NEED, ["forced down by an operator"]),
    (candidate(view={"disabled": True}), NEED, ["disabled"]),
    (candidate(free=(1.0, 4096, 9)), NEED, ["vcpus: 2 needed, 1 free"]),
    (candidate(free=(8, -5, 9)), NEED, ["memory: 512 MiB needed, 0 MiB free"]),
    (candidate(free=(8, 4096, 1)), NEED, ["disk: 2 GiB needed, 1 GiB free"]),
    (candidate(storage={}), NEED, ["storage: it has no pool named local, shared"]),
    (
        candidate(local="A"),
        replace(NEED, block=True),
        ["storage: block migration asked for, but local, shared is shared with a"],
    ),
    (candidate(), replace(NEED, block=True), []),
    (
        candidate(),
        replace(NEED, block=False),
        ["storage: local is not shared with a; ask for block migration or auto"],
    ),
    (candidate(local="A"), replace(NEED, block=False), []),
    (candidate(arch="aarch64"), NEED, ["arch: the guest is x86_64, the host aarch64"]),
    (candidate(machine_types=("q35",)), NEED, ["machine_type: it does not know pc-7"]),
    (candidate(hypervisor_version=6), NEED, ["hypervisor_version: 6 is older than the source's 7"]),
    (candidate(hypervisor_version=6, arch="arm"), replace(NEED, guest=None), []),
]


@pytest.mark.parametrize(("host", "need", "reasons"), REFUSALS)
def test_a_refusal_names_what_was_found(host: Candidate, need: Need, reasons: list[str]) -> None:
    assert refusals(host, need) == reasons


def test_every_reason_is_given_and_not_the_first_only() -> None:
    host = candidate("b", view={"disabled": True}, free=(0, 0, 0), arch="arm")
    assert len(refusals(host, NEED)) == 5


def test_the_roomiest_host_comes_first_and_ties_go_by_name() -> None:
    hosts = [candidate("d", free=(8, 1000, 9)), candidate("c", free=(8, 2000, 9)), candidate("b", free=(8, 1000, 9))]
    assert [c.host.name for c in rank([candidate("a"), *hosts], NEED)] == ["c", "b", "d"]


def snapshot(kind: Kind, phase: str, *, forward: bool = True, **params: Any) -> Snapshot:
    view = OperationView(
        id=1,
        uuid="o",
        kind=kind,
        instance_uuid="i",
        phase=phase,
        forward=forward,
        epoch=3,
        generation=9,
        source="a",
        destination="b",
        params=params,
        context={"guest": GUEST.model_dump(mode="json")},
    )
    hosts = {n: HostView(name=n, report=report(local=n), silent_s=0, up=True) for n in ("a", "b")}
    return Snapshot(view, SPEC, hosts, {})


WANTED = [
    (Kind.LIVE_MIGRATION, "inspect", True, {"a": Ensure.MOVABLE}),
    (Kind.LIVE_MIGRATION, "claim", True, {}),
    (Kind.LIVE_MIGRATION, "check", True, {"b": Ensure.COMPATIBLE}),
    (Kind.LIVE_MIGRATION, "check", False, {}),
    (Kind.LIVE_MIGRATION, "prepare", True, {"a": Ensure.OBSERVED, "b": Ensure.PREPARED}),
    (Kind.LIVE_MIGRATION, "prepare", False, {"a": Ensure.OBSERVED, "b": Ensure.ABSENT}),
    (Kind.LIVE_MIGRATION, "transfer", True, {"a": Ensure.MIGRATING, "b": Ensure.OBSERVED}),
    (Kind.LIVE_MIGRATION, "transfer", False, {"a": Ensure.NOT_MIGRATING, "b": Ensure.OBSERVED}),
    (Kind.LIVE_MIGRATION, "cleanup", True, {"a": Ensure.ABSENT, "b": Ensure.OBSERVED}),
    (Kind.REBOOT, "stop", True, {"a": Ensure.SHUT_OFF}),
    (Kind.BUILD, "start", False, {"b": Ensure.ABSENT}),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "wanted"), WANTED)
def test_who_is_asked_for_what(kind: Kind, phase: str, forward: bool, wanted: dict[str, Ensure]) -> None:
    found = assignments(snapshot(kind, phase, forward=forward), TransferLimits())
    assert {host: a.ensure for host, a in found.items()} == wanted
    assert all((a.epoch, a.generation, a.forward) == (3, 9, forward) for a in found.values())


def test_a_move_s_leftovers_never_include_a_shared_disk() -> None:
    for phase, forward, host in (("cleanup", True, "a"), ("prepare", False, "b")):
        inputs = assignments(snapshot(Kind.LIVE_MIGRATION, phase, forward=forward), TransferLimits())[host].inputs
        keep = {"a": ["G", "b"], "b": ["A", "G"]}[host]  # what the other end has
        assert inputs == {"delete_pools": ["local"], "keep": keep, "kill": False}


def test_what_is_shared_when_the_destination_is_found_fit_stays_shared() -> None:
    """It may be set up anew before its other end is cleaned, or be gone: nothing shared is deleted for that."""
    found = snapshot(Kind.MIGRATION, "check")
    fact = Fact(
        operation_id="o", epoch=3, phase="check", incarnation=1, sequence=1, checks=(CheckResult(name="c", ok=True),)
    )
    learnt = decide(replace(found, facts={"b": fact})).context
    assert learnt == {"shared": {"b": ["shared"]}}
    later = snapshot(Kind.MIGRATION, "cleanup")
    operation = replace(later.operation, context={**later.operation.context, **learnt})
    anew = replace(later.hosts["b"], report=report(local="N", shared="N2"))
    for hosts in ({**later.hosts, "b": anew}, {"a": later.hosts["a"]}):
        found = replace(later, operation=operation, hosts=hosts)
        assert assignments(found, TransferLimits())["a"].inputs["delete_pools"] == ["local"]


def test_storage_of_the_host_where_the_instance_is_by_now_is_kept() -> None:
    """What "b" owes is cleaned up when the instance has long been moved on to "c", which shares b's local pool."""
    found = snapshot(Kind.MIGRATION, "copy", forward=False)
    third = HostView(name="c", report=report(local="b"), silent_s=0, up=True)
    found = replace(found, hosts={**found.hosts, "c": third}, home="c")
    assert "b" in assignments(found, TransferLimits())["b"].inputs["keep"]
    back = replace(found, home="b")  # reverted: what was made here goes
    assert "b" not in assignments(back, TransferLimits())["b"].inputs["keep"]


def test_a_deletion_takes_everything() -> None:
    inputs = assignments(snapshot(Kind.DELETE, "cleanup"), TransferLimits())["a"].inputs
    assert inputs == {"delete_pools": ["local", "shared"], "keep": [], "kill": True}


def test_a_transfer_copies_only_what_is_not_shared_and_keeps_its_limits() -> None:
    limits = TransferLimits(bandwidth_mib_s=7, max_downtime_ms=123, auto_converge=True, post_copy=True)
    inputs = assignments(snapshot(Kind.LIVE_MIGRATION, "transfer"), limits)["a"].inputs
    assert inputs["copy_disks"] == ["vda"]
    assert (inputs["destination_host"], inputs["uri"]) == ("b", "qemu+tcp://10.0.0.2/system")
    names = ("bandwidth_mib_s", "max_downtime_ms", "auto_converge", "post_copy")
    assert [inputs[n] for n in names] == [7, 123, True, True]


def test_a_stop_carries_its_patience() -> None:
    inputs = assignments(snapshot(Kind.REBOOT, "stop", soft=False), TransferLimits(shutdown_timeout_s=9))["a"].inputs
    assert inputs == {"soft": False, "timeout_s": 9}


def test_pools_are_shared_by_identity_and_not_by_name() -> None:
    assert reading.shared_pools(report(local="A"), report(local="B")) == {"shared"}
    assert reading.shared_pools(report(), None) == frozenset()
