"""The comparisons made before a move: what passes, what is refused, and that the words say why."""

import pytest

from migrator.compute import compatibility
from migrator.protocol import (
    MEMORY,
    PAUSE_REASON_USER,
    DiskFact,
    DiskSpec,
    DomainState,
    GuestDescription,
    InstanceSpec,
    NicSpec,
    VolumeSpec,
)

GIB = 1024**3
SPEC = InstanceSpec(
    uuid="3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5",
    name="web",
    vcpus=1,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="shared", size_gb=1), DiskSpec(target="vdb", pool="local", size_gb=4)),
    nics=(NicSpec(network="demo", mac="52:54:00:00:00:01"),),
)
GUEST = GuestDescription(
    disks=(
        DiskFact(target="vda", path="/s/disk", pool="shared", exists=True, virtual_bytes=GIB),
        DiskFact(target="vdb", path="/l/disk", pool="local", exists=True, virtual_bytes=4 * GIB),
    ),
    storage={"shared": "S", "local": "L1"},
)
OWN = {"shared": "S", "local": "L2"}


@pytest.mark.parametrize(
    ("state", "ok"),
    [(state, state in (DomainState.ABSENT, DomainState.SHUT_OFF)) for state in DomainState],
)
def test_no_living_copy_may_be_here(state: DomainState, ok: bool) -> None:
    assert compatibility.domain(state).ok is ok


@pytest.mark.parametrize(("needed", "ratio", "ok"), [(3000, 1.0, True), (3001, 1.0, False), (3001, 2.0, True)])
def test_memory_to_the_last_mebibyte(needed: int, ratio: float, ok: bool) -> None:
    check = compatibility.memory(needed, total_mb=4096, reserved_mb=96, used_mb=1000, ratio=ratio)
    assert check.ok is ok
    assert f"{needed} MiB needed" in check.found


@pytest.mark.parametrize(
    ("own", "copied"),
    [(OWN, ("vdb",)), ({"shared": "S", "local": "L1"}, ()), ({"shared": "X"}, ("vda", "vdb")), ({}, ("vda", "vdb"))],
)
def test_only_disks_on_storage_of_their_own_are_copied(own: dict[str, str], copied: tuple[str, ...]) -> None:
    assert compatibility.copied_targets(SPEC, GUEST.storage, own) == copied


def test_two_unknown_identities_are_not_equal() -> None:
    assert compatibility.copied_targets(SPEC, {}, {}) == ("vda", "vdb")
    assert compatibility.copied_targets(SPEC, {"shared": "", "local": ""}, {"shared": "", "local": ""}) == (
        "vda",
        "vdb",
    )


@pytest.mark.parametrize(
    ("own", "block", "ok"),
    [
        (OWN, None, True),
        (OWN, True, True),
        (OWN, False, False),
        ({"shared": "S", "local": "L1"}, None, True),
        ({"shared": "S", "local": "L1"}, True, False),
        ({"shared": "S", "local": "L1"}, False, True),
        ({"shared": "X", "local": "L2"}, True, True),
        ({"shared": "X", "local": "L2"}, False, False),
        ({"shared": "S"}, None, False),
    ],
)
def test_the_flag_against_the_facts(own: dict[str, str], block: bool | None, ok: bool) -> None:
    check = compatibility.storage(SPEC, GUEST, own, block)
    assert check.ok is ok
    assert ok or check.advice


@pytest.mark.parametrize("block", [None, True, False])
def test_an_instance_without_disks_moves_under_any_flag(block: bool | None) -> None:
    assert compatibility.storage(SPEC.model_copy(update={"disks": ()}), GUEST, OWN, block).ok


@pytest.mark.parametrize(
    ("free", "ratio", "ok"), [(4 * GIB, 1.0, True), (4 * GIB - 1, 1.0, False), (3 * GIB, 1.5, True)]
)
def test_room_for_what_is_copied_and_only_that(free: int, ratio: float, ok: bool) -> None:
    check = compatibility.disk(SPEC, GUEST, OWN, free_bytes={"local": free, "shared": 0}, ratio=ratio)
    assert check.ok is ok
    assert "local" in check.found
    assert "shared" not in check.found


def test_networks_and_machines_are_named() -> None:
    assert compatibility.network(SPEC, ["demo"], {}).ok
    assert "demo" in compatibility.network(SPEC, [], {}).found
    assert compatibility.machine_type("", ["pc"]).ok, "one that may get any machine type"
    assert "pc-9" in compatibility.machine_type("pc-9", ["pc"]).found


def test_what_keeps_a_guest_where_it_is() -> None:
    free = compatibility.source(DomainState.RUNNING, job_active=False, passed_through=())
    assert all(check.ok for check in free)
    held = compatibility.source(
        DomainState.PAUSED, job_active=True, passed_through=("hostdev (pci)",), unknown_disks=["vdz is /d"], asleep=True
    )
    assert [check.ok for check in held] == [False] * 5
    assert "hostdev (pci)" in held[2].found


def test_an_old_disk_in_the_way_refuses_the_move_and_is_named() -> None:
    spec = InstanceSpec(uuid="u", name="n", vcpus=1, memory_mb=64, disks=(DiskSpec(target="vda", pool="p", size_gb=1),))
    guest = GuestDescription(storage={"p": "theirs"})
    old = DiskFact(target="vda", path="/pool/u/disk", pool="p", exists=True)
    found = compatibility.leftover(spec, guest, {"p": "ours"}, [old])
    assert not found.ok
    assert "/pool/u/disk" in found.found
    assert compatibility.leftover(spec, guest, {"p": "theirs"}, [old]).ok, "a shared disk is no leftover"
    gone = old.model_copy(update={"exists": False})
    assert compatibility.leftover(spec, guest, {"p": "ours"}, [gone]).ok, "nothing is there"


def memory_fact(mib: int) -> DiskFact:
    return DiskFact(target=MEMORY, path="/s/memory", pool="local", exists=True, virtual_bytes=mib << 20)


def test_a_disk_that_grows_needs_the_room_that_it_will_have() -> None:
    spec = SPEC.model_copy(update={"disks": tuple(d.model_copy(update={"size_gb": 8}) for d in SPEC.disks)})
    check = compatibility.disk(spec, GUEST, OWN, free_bytes={"local": 8 * GIB, "shared": 7 * GIB}, ratio=1.0)
    assert check.ok, check.found
    check = compatibility.disk(spec, GUEST, OWN, free_bytes={"local": 8 * GIB - 1, "shared": 7 * GIB - 1}, ratio=1.0)
    assert not check.ok
    assert "local: 8191 MiB free, 8192 MiB needed" in check.found
    assert "shared: 7167 MiB free, 7168 MiB needed" in check.found


def test_an_over_committed_disk_needs_room_for_what_it_holds_and_a_shared_one_still_for_what_it_grows() -> None:
    facts = tuple(fact.model_copy(update={"allocated_bytes": 100 << 20}) for fact in GUEST.disks)
    guest = GUEST.model_copy(update={"disks": facts})
    for free, ok in ((100 << 20, True), ((100 << 20) - 1, False)):
        room = {"local": free, "shared": 0}
        assert compatibility.disk(SPEC, guest, OWN, free_bytes=room, ratio=1.0, over_commit=True).ok is ok
    grown = SPEC.model_copy(update={"disks": tuple(d.model_copy(update={"size_gb": 8}) for d in SPEC.disks)})
    room = {"local": 8 * GIB, "shared": 7 * GIB - 1}
    found = compatibility.disk(grown, guest, OWN, free_bytes=room, ratio=1.0, over_commit=True)
    assert "shared: 7167 MiB free, 7168 MiB needed" in found.found


def test_a_disk_that_nobody_describes_is_made_at_its_size() -> None:
    check = compatibility.disk(SPEC, GuestDescription(), OWN, free_bytes={"local": 4 * GIB}, ratio=1.0)
    assert not check.ok
    assert "shared: 0 MiB free, 1024 MiB needed" in check.found


def test_saved_memory_needs_room_on_disk_and_in_ram() -> None:
    spec = SPEC.model_copy(update={"disks": SPEC.disks[1:]})
    guest = GUEST.model_copy(update={"disks": (*GUEST.disks[1:], memory_fact(100)), "memory_mb": 1024})
    check = compatibility.disk(spec, guest, OWN, free_bytes={"local": 4 * GIB + (99 << 20)}, ratio=1.0)
    assert not check.ok
    assert compatibility.disk(spec, guest, OWN, free_bytes={"local": 4 * GIB + (100 << 20)}, ratio=1.0).ok
    assert compatibility.memory_needed(spec, guest) == 1024
    assert compatibility.memory_needed(spec, GUEST) == 512
    ran_with_more = GUEST.model_copy(update={"memory_mb": 1024})
    assert compatibility.memory_needed(spec, ran_with_more) == 512, "it starts anew, with what its flavor says"


def test_saved_memory_is_copied_between_two_unknown_identities() -> None:
    spec = SPEC.model_copy(update={"disks": SPEC.disks[1:]})
    guest = GUEST.model_copy(update={"disks": (memory_fact(100),), "storage": {"local": ""}})
    for mib, ok in ((99, False), (100, True)):
        free = {"local": 4 * GIB + (mib << 20)}
        assert compatibility.disk(spec, guest, {"local": ""}, free_bytes=free, ratio=1.0).ok is ok


@pytest.mark.parametrize(("own", "ok"), [(OWN, False), ({"shared": "S", "local": "L1"}, True)])
def test_an_old_memory_is_in_the_way_where_a_new_one_would_go(own: dict[str, str], ok: bool) -> None:
    spec = SPEC.model_copy(update={"disks": SPEC.disks[1:]})
    assert compatibility.leftover(spec, GUEST, own, [memory_fact(1)]).ok is ok


@pytest.mark.parametrize(
    ("state", "live", "cold"),
    [
        (DomainState.RUNNING, True, True),
        (DomainState.SHUT_OFF, False, True),
        (DomainState.SAVED, False, True),
        (DomainState.CRASHED, False, True),
        (DomainState.PAUSED, False, False),
        (DomainState.INCOMING, False, False),
        (DomainState.ABSENT, False, False),
    ],
)
def test_what_may_leave_running_and_what_may_leave_at_all(state: DomainState, live: bool, cold: bool) -> None:
    for wanted, ok in ((True, live), (False, cold)):
        checks = compatibility.source(state, job_active=False, passed_through=(), live=wanted)
        assert {check.name: check.ok for check in checks}["domain"] is ok


@pytest.mark.parametrize(("reason", "ok"), [(PAUSE_REASON_USER, True), ("io error", False), (None, False)])
def test_of_paused_guests_only_one_that_a_user_paused_moves_live(reason: str | None, ok: bool) -> None:
    checks = compatibility.source(DomainState.PAUSED, job_active=False, passed_through=(), reason=reason)
    assert {check.name: check.ok for check in checks}["domain"] is ok


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ({"nbd://v": 2 * GIB}, "vdb (nbd://v) has 2048 MiB"),
        ({"nbd://v": 2 * GIB - 1}, "vdb (nbd://v) has 2047 MiB, and had 2 GiB"),
        ({"nbd://v": "no route"}, "vdb (nbd://v) is out of reach: no route"),
        ({}, "vdb (nbd://v) is out of reach: not looked at"),
    ],
)
def test_a_volume_passes_where_it_was_seen_at_its_whole_size(seen: dict[str, int | str], message: str) -> None:
    spec = SPEC.model_copy(update={"volumes": (VolumeSpec(id="v", target="vdb", source="nbd://v", size_gb=2),)})
    found = compatibility.volumes(spec, seen)
    assert (found.ok, found.found) == (seen.get("nbd://v") == 2 * GIB, message)


@pytest.mark.parametrize(
    ("listens", "addresses", "ok"),
    [
        ((), ("10.0.0.2",), True),
        (("10.0.0.2",), ("10.0.0.2", "fd00::2"), True),
        (("10.0.0.1", "10.0.0.2"), ("10.0.0.2",), False),
        (("10.0.0.1",), (), True),  # its kernel does not tell
    ],
)
def test_consoles_need_the_address_that_they_listen_on(
    listens: tuple[str, ...], addresses: tuple[str, ...], ok: bool
) -> None:
    check = compatibility.console(listens, addresses)
    assert (check.name, check.ok) == ("console", ok)
    assert ok or "10.0.0.1, which this host does not have" in check.found


@pytest.mark.parametrize(
    ("needed", "own", "ok"), [(7, 7, True), (7, 8, True), (8, 7, False), (0, 7, True), (7, 0, True)]
)
def test_memory_travels_to_no_older_hypervisor(needed: int, own: int, ok: bool) -> None:
    check = compatibility.version(needed, own)
    assert (check.name, check.ok) == ("hypervisor_version", ok)
    assert f"{own} here, {needed} at the source" == check.found


def test_devices_stay_behind_when_a_guest_moves_cold() -> None:
    held = ("hostdev (pci)",)
    live, cold = (
        {
            c.name: c
            for c in compatibility.source(DomainState.RUNNING, job_active=False, passed_through=held, live=wanted)
        }
        for wanted in (True, False)
    )
    assert not live["devices"].ok
    assert "hostdev (pci)" in live["devices"].found
    assert "migrator migrate" in live["devices"].advice
    assert cold["devices"].ok
