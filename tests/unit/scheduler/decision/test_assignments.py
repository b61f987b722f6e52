"""Who is asked for what in which phase, and with which inputs."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.protocol import MEMORY, CheckResult, DiskSpec, Ensure, Fact
from migrator.scheduler.decision import views
from migrator.scheduler.decision.assignments import asked as asked_of
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import HostView, Liveness, MigrationOptions
from tests.unit.scheduler.checks.placed import SPEC, report, snapshot

M, R, E = Kind.MIGRATION, Kind.RESIZE, Kind.EVACUATION

WANTED = [
    (Kind.LIVE_MIGRATION, "inspect", True, {"a": Ensure.MOVABLE}),
    (Kind.LIVE_MIGRATION, "claim", True, {}),
    (Kind.LIVE_MIGRATION, "check", True, {"b": Ensure.COMPATIBLE}),
    (Kind.LIVE_MIGRATION, "check", False, {}),
    (Kind.LIVE_MIGRATION, "lend", True, {"a": Ensure.LENT}),
    (Kind.LIVE_MIGRATION, "lend", False, {"a": Ensure.WITHDRAWN}),
    (Kind.LIVE_MIGRATION, "fetch", True, {"a": Ensure.LENT, "b": Ensure.COPIED}),
    (Kind.LIVE_MIGRATION, "fetch", False, {"a": Ensure.OBSERVED, "b": Ensure.ABSENT}),
    (Kind.LIVE_MIGRATION, "prepare", True, {"a": Ensure.OBSERVED, "b": Ensure.PREPARED}),
    (Kind.LIVE_MIGRATION, "prepare", False, {"a": Ensure.OBSERVED, "b": Ensure.ABSENT}),
    (Kind.LIVE_MIGRATION, "transfer", True, {"a": Ensure.MIGRATING, "b": Ensure.OBSERVED}),
    (Kind.LIVE_MIGRATION, "transfer", False, {"a": Ensure.NOT_MIGRATING, "b": Ensure.OBSERVED}),
    (Kind.LIVE_MIGRATION, "attest", True, {"a": Ensure.OBSERVED, "b": Ensure.DISKS_WHOLE}),
    (Kind.LIVE_MIGRATION, "cleanup", True, {"a": Ensure.ABSENT, "b": Ensure.OBSERVED}),
    (Kind.REBOOT, "stop", True, {"a": Ensure.SHUT_OFF}),
    (Kind.BUILD, "start", False, {"b": Ensure.ABSENT}),
    (M, "inspect", True, {"a": Ensure.DESCRIBED}),
    (M, "check", True, {"b": Ensure.COMPATIBLE}),
    (M, "depart", True, {}),
    (M, "depart", False, {}),
    (M, "stop", True, {"a": Ensure.SHUT_OFF}),
    (M, "stop", False, {"a": Ensure.POWERED}),
    (M, "offer", True, {"a": Ensure.OFFERED}),
    (M, "offer", False, {"a": Ensure.WITHDRAWN}),
    (M, "copy", True, {"a": Ensure.OFFERED, "b": Ensure.COPIED}),
    (M, "copy", False, {"a": Ensure.OBSERVED, "b": Ensure.ABSENT}),
    (M, "start", True, {"b": Ensure.POWERED}),
    (M, "start", False, {"b": Ensure.NOT_RUNNING}),
    (M, "verify", True, {}),
    (M, "cleanup", True, {"a": Ensure.ABSENT}),
    (E, "check", True, {"b": Ensure.COMPATIBLE}),
    (E, "rebuild", True, {"a": Ensure.OBSERVED, "b": Ensure.REBUILT}),
    (E, "rebuild", False, {"a": Ensure.OBSERVED, "b": Ensure.ABSENT}),
    (E, "start", True, {"a": Ensure.OBSERVED, "b": Ensure.POWERED}),
    (E, "start", False, {"a": Ensure.OBSERVED, "b": Ensure.NOT_RUNNING}),
    (E, "cleanup", True, {"a": Ensure.SET_ASIDE}),
    (Kind.SUSPEND, "suspend", True, {"a": Ensure.SUSPENDED}),
    (Kind.RESUME, "resume", True, {"a": Ensure.POWERED}),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "wanted"), WANTED)
def test_who_is_asked_for_what(kind: Kind, phase: str, forward: bool, wanted: dict[str, Ensure]) -> None:
    found = assignments(snapshot(kind, phase, forward=forward))
    assert {host: a.ensure for host, a in found.items()} == wanted
    assert all((a.epoch, a.generation, a.forward) == (3, 9, forward) for a in found.values())


@pytest.mark.parametrize(("kind", "phase", "forward", "wanted"), WANTED)
def test_who_is_asked_can_be_told_before_anything_else_is_read(
    kind: Kind, phase: str, forward: bool, wanted: dict[str, Ensure]
) -> None:
    assert {
        host: ensure for host, (_, ensure) in asked_of(snapshot(kind, phase, forward=forward).operation).items()
    } == wanted


def test_a_move_s_leftovers_never_include_a_shared_disk() -> None:
    for phase, forward, host in (("cleanup", True, "a"), ("prepare", False, "b")):
        inputs = assignments(snapshot(Kind.LIVE_MIGRATION, phase, forward=forward))[host].inputs
        keep = {"a": ["G", "b"], "b": ["A", "G"]}[host]  # what the other end has
        assert inputs == {"delete_pools": ["local"], "keep": keep, "kill": False, "paused": False, "arrived": False}


def test_what_is_shared_when_the_destination_is_found_fit_stays_shared() -> None:
    """It may be set up anew before its other end is cleaned, or be gone: nothing shared is deleted for that."""
    found = snapshot(Kind.MIGRATION, "check")
    fact = Fact(
        operation_id="o", epoch=3, phase="check", incarnation=1, sequence=1, checks=(CheckResult(name="c", ok=True),)
    )
    learnt = decide(replace(found, facts={"b": fact})).context
    assert learnt == {"shared": {"b": ["shared"]}}
    later = snapshot(Kind.MIGRATION, "cleanup")
    operation = replace(later.operation, context=later.operation.context.updated(learnt))
    anew = replace(later.hosts["b"], report=report(local="N", shared="N2"))
    for hosts in ({**later.hosts, "b": anew}, {"a": later.hosts["a"]}):
        found = replace(later, operation=operation, hosts=hosts)
        assert assignments(found)["a"].inputs["delete_pools"] == ["local"]


def test_storage_of_the_host_where_the_instance_is_by_now_is_kept() -> None:
    """What "b" owes is cleaned up when the instance has long been moved on to "c", which shares b's local pool."""
    found = snapshot(Kind.MIGRATION, "copy", forward=False)
    third = HostView(name="c", report=report(local="b"), silent_s=0, liveness=Liveness.HEARD)
    found = replace(found, hosts={**found.hosts, "c": third}, record_host="c")
    assert "b" in assignments(found)["b"].inputs["keep"]
    back = replace(found, record_host="b")  # reverted: what was made here goes
    assert "b" not in assignments(back)["b"].inputs["keep"]


def test_a_deletion_takes_everything() -> None:
    inputs = assignments(snapshot(Kind.DELETE, "cleanup"))["a"].inputs
    assert inputs == {"delete_pools": ["local", "shared"], "keep": [], "kill": True, "paused": False, "arrived": False}


def test_a_transfer_copies_only_what_is_not_shared_and_keeps_its_limits() -> None:
    means = MigrationOptions(bandwidth_mib_s=7, auto_converge=True, post_copy=True)
    inputs = assignments(replace(snapshot(Kind.LIVE_MIGRATION, "transfer"), migration_options=means))["a"].inputs
    assert inputs["copy_disks"] == ["vda"]
    assert (inputs["destination_host"], inputs["uri"]) == ("b", "qemu+tcp://10.0.0.2/system")
    names = ("bandwidth_mib_s", "auto_converge", "post_copy", "force")
    assert [inputs[n] for n in names] == [7, True, True, False]


def test_a_stop_carries_its_patience() -> None:
    found = replace(snapshot(Kind.REBOOT, "stop", soft=False), shutdown_timeout_s=9)
    inputs = assignments(found)["a"].inputs
    assert inputs == {"soft": False, "timeout_s": 9}


def test_pools_are_shared_by_identity_and_not_by_name() -> None:
    assert views.shared_pools(report(local="A"), report(local="B")) == {"shared"}
    assert views.shared_pools(report(), None) == frozenset()


# --- what does not run while it is moved ----------------------------------------------------------------------------


def asked(host: str, kind: Kind, phase: str, **more: Any) -> dict[str, Any]:
    return dict(assignments(snapshot(kind, phase, **more))[host].inputs)


@pytest.mark.parametrize(
    ("up", "kept", "ensure"),
    [(True, True, Ensure.OBSERVED), (False, True, Ensure.NOT_RUNNING), (False, False, Ensure.OBSERVED)],
)
def test_an_evacuated_host_ends_its_guest_unless_it_is_back_in_service_or_has_the_only_disks(
    up: bool, kept: bool, ensure: Ensure
) -> None:
    found = snapshot(E, "fence")
    disks = tuple(disk for disk in SPEC.disks if disk.pool == "shared" or not kept)
    hosts = {**found.hosts, "a": replace(found.hosts["a"], forced_down=not up)}
    found = replace(found, hosts=hosts, instance=SPEC.model_copy(update={"disks": disks}))
    assert assignments(found)["a"].ensure is ensure


@pytest.mark.parametrize(
    ("power", "targets"), [("running", ["vda"]), ("shut_off", ["vda"]), ("saved", ["vda", MEMORY])]
)
def test_what_is_not_shared_is_offered_and_copied_with_its_saved_memory(power: str, targets: list[str]) -> None:
    learnt = {"power": power}
    assert asked("a", M, "offer", learnt=learnt) == {"copy_disks": targets, "images": []}
    copied = asked("b", M, "copy", learnt=learnt)
    assert (copied["copy_disks"], copied["source_uri"]) == (targets, "qemu+tcp://10.0.0.2/system")
    assert copied["guest"]["storage"] == {"local": "A", "shared": "G"}


def test_memory_beside_a_shared_disk_is_neither_copied_nor_left_used_up() -> None:
    """Resumed where it moved to, it is saved anew there when the move is undone, as long as the move is its owner."""
    found = snapshot(M, "start", forward=False, learnt={"power": "saved"})
    spec = SPEC.model_copy(update={"disks": SPEC.disks[::-1]})
    shared = replace(found, instance=spec)
    assert MEMORY not in views.moved_targets(shared)
    assert assignments(shared)["b"].ensure is Ensure.SUSPENDED
    assert assignments(found)["b"].ensure is Ensure.NOT_RUNNING
    owed = replace(shared, operation=replace(shared.operation, locks_instance=False))
    assert assignments(owed)["b"].ensure is Ensure.NOT_RUNNING


POWERS = [
    (M, "start", True, "b", {"running": "running", "shut_off": "shut_off", "saved": "running"}),
    (M, "stop", False, "a", {"running": "running", "shut_off": "shut_off", "saved": "saved"}),
    (E, "start", True, "b", {"running": "running", "shut_off": "shut_off", "saved": "saved"}),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "host", "powers"), POWERS)
def test_it_is_put_down_as_it_was_with_the_machine_its_guest_has_seen(
    kind: Kind, phase: str, forward: bool, host: str, powers: dict[str, str]
) -> None:
    for was, wanted in powers.items():
        inputs = asked(host, kind, phase, forward=forward, learnt={"power": was})
        assert inputs == {"power": wanted, "machine": "pc-7"}


PATIENCE = [
    (M, "stop", True, True, "a", True),
    (M, "start", False, True, "b", True),
    (M, "start", False, False, "b", False),
    (E, "start", False, True, "b", False),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "locks_instance", "host", "soft"), PATIENCE)
def test_a_second_copy_is_not_asked_to_end(
    kind: Kind, phase: str, forward: bool, locks_instance: bool, host: str, soft: bool
) -> None:
    assert asked(host, kind, phase, forward=forward, locks_instance=locks_instance)["soft"] is soft


def test_an_evacuation_finds_what_is_shared_and_makes_the_rest_with_its_password() -> None:
    assert asked("b", E, "rebuild", admin_pass="secret") == {"shared": ["vdb"], "admin_pass": "secret"}


LEFTOVERS = [
    (M, "cleanup", True, "a", False),
    (M, "copy", False, "b", False),
    (E, "cleanup", True, "a", True),
    (E, "rebuild", False, "b", False),
]


@pytest.mark.parametrize(("kind", "phase", "forward", "host", "kill"), LEFTOVERS)
def test_leftovers_are_cleaned_in_local_pools_and_only_an_evacuated_guest_is_killed(
    kind: Kind, phase: str, forward: bool, host: str, kill: bool
) -> None:
    inputs = asked(host, kind, phase, forward=forward)
    assert (inputs["delete_pools"], inputs["kill"]) == (["local"], kill)
    assert "G" in inputs["keep"]


OLD = {"vcpus": 2, "memory_mb": 512, "disk_gb": 1, "ephemeral_gb": 1}
NEW = {"vcpus": 4, "memory_mb": 1024, "disk_gb": 5, "ephemeral_gb": 2}
SHAPES = [
    ("stop", True, "a", OLD),
    ("copy", True, "a", OLD),
    ("copy", True, "b", NEW),
    ("start", True, "b", NEW),
    ("stop", False, "a", OLD),
    ("cleanup", True, "a", OLD),
]


@pytest.mark.parametrize(("phase", "forward", "host", "flavor"), SHAPES)
def test_each_end_of_a_resize_has_its_own_flavor(phase: str, forward: bool, host: str, flavor: dict[str, int]) -> None:
    found = snapshot(R, phase, forward=forward, old_flavor=OLD, new_flavor=NEW)
    spec = assignments(found)[host].instance
    shape = (spec.vcpus, spec.memory_mb, *(disk.size_gb for disk in spec.disks))
    assert shape == tuple(flavor.values())


def test_a_flavor_shapes_no_config_drive_and_shrinks_no_disk_to_nothing() -> None:
    drive = DiskSpec(target="sda", pool="local", format="raw", size_gb=0, config_drive=True)
    spec = SPEC.model_copy(update={"disks": (*SPEC.disks, drive)})
    disks = views.with_flavor(spec, NEW | {"ephemeral_gb": 0}).disks
    assert [disk.size_gb for disk in disks] == [5, 1, 0]
