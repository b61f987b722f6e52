"""The checks before a live migration, as a table: passed, failed or unknown, with what was found on both hosts."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.checks import CHECKS
from migrator.protocol import (
    CpuAnswer,
    DiskFact,
    DiskSpec,
    GuestDescription,
    InstanceSpec,
    NicSpec,
    Reach,
    Survey,
    TlsReport,
    VolumeSight,
    VolumeSpec,
    guest_cpu,
)
from migrator.scheduler.checks.filters import CODES, FILTERS, REFUSED, failed, findings, rank, refusals
from migrator.scheduler.checks.finding import (
    FAILURE_STANDS_S,
    KNOWN_S,
    Candidate,
    Finding,
    Need,
    Origin,
    Status,
    Surveyed,
)
from migrator.scheduler.checks.guest_checks import SKEW_S
from migrator.scheduler.decision.snapshot import HostView
from tests.unit.scheduler.checks.placed import report

GIB = 1024**3
CPU = "<cpu><model>Westmere</model><topology sockets='1'/></cpu>"
KEY = guest_cpu.key("x86_64", "pc-7", CPU)
A_URI, B_URI = "qemu+tcp://10.0.0.1/system", "qemu+tcp://10.0.0.2/system"
SPEC = InstanceSpec(
    uuid="i",
    name="i",
    vcpus=2,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1),),
    nics=(NicSpec(network="private", mac="52:54:00:00:00:01"),),
)
GUEST = GuestDescription(
    cpu_xml=CPU,
    machine="pc-7",
    hypervisor_version=7,
    storage={"local": "A", "shared": "G"},
    disks=(DiskFact(target="vda", path="/d", pool="local", exists=True, virtual_bytes=2 * GIB),),
)
THERE = Survey(
    clock_offset_s=0.5,
    clock_error_s=0.01,
    addresses=("10.0.0.2",),
    memory_given_mb=100,
    runs={KEY: CpuAnswer(ok=True, words="every feature")},
    peers={"a": Reach(uri=A_URI, ok=True)},
)
HERE = Survey(clock_offset_s=0.1, clock_error_s=0.01, peers={"b": Reach(uri=B_URI, ok=True)})


def here(survey: Survey | None = HERE, age_s: float = 1.0) -> Origin:
    view = HostView(name="a", report=report(local="A", live_migration_uri=A_URI), silent_s=1, up=True)
    return Origin(view, None if survey is None else Surveyed(survey, age_s))


def there(
    survey: Survey | None = THERE, age_s: float = 2.0, view: dict[str, Any] | None = None, **changes: Any
) -> Candidate:
    host = HostView(name="b", report=report(**({"networks": ("private",)} | changes)), silent_s=3, up=True)
    surveyed = None if survey is None else Surveyed(survey, age_s)
    return Candidate(replace(host, **(view or {})), 8, 3000, 9, surveyed)


NEED = Need(
    instance=SPEC, vcpus=2, memory_mb=512, disk_gb=1, source="a", guest=GUEST, live=True, origin=here(), guest_age_s=1
)


def finding(code: str, candidate: Candidate, need: Need = NEED) -> Finding:
    return dict(findings(candidate, need))[code]


def test_every_check_has_its_line_in_the_table_of_codes_and_none_is_asked_twice() -> None:
    assert len(set(CODES)) == len(CODES)
    assert set(CODES) == CHECKS.keys()
    assert all(check.advice and check.asks.endswith("?") and check.code == code for code, check in CHECKS.items())
    assert [row.code for row in FILTERS if row.code not in CHECKS] == [REFUSED]


def test_all_pass_and_say_what_was_found() -> None:
    found = findings(there(), NEED)
    assert [code for code, _ in found] == list(CODES)
    assert {f.status for _, f in found} == {Status.PASSED}
    assert all(f.source or f.destination for _, f in found)
    assert not any(f.words for _, f in found)
    assert refusals(there(), NEED) == []


def test_a_build_is_not_asked_what_concerns_a_live_migration() -> None:
    build = Need(instance=SPEC, vcpus=2, memory_mb=512, disk_gb=1)
    live = {row.code for row in FILTERS if row.live}
    assert live == {"instance", "devices", "network", "cpu", "uri", "uri_back", "clock", "console", "tls"}
    assert not live & {code for code, _ in findings(there(None), build)}
    assert refusals(there(None), build) == []


SOURCE = "nbd://10.0.0.250:10809/data"
VOLUME = VolumeSpec(id="v", target="vdb", source=SOURCE, size_gb=2)
WITH_VOLUME = replace(NEED, instance=SPEC.model_copy(update={"volumes": (VOLUME,)}))


@pytest.mark.parametrize(
    ("sights", "status", "words"),
    [
        ({}, Status.UNKNOWN, f"b looks at {SOURCE} once the instance is there or about to come"),
        ({SOURCE: VolumeSight(bytes=2 * GIB)}, Status.PASSED, ""),
        ({SOURCE: VolumeSight(bytes=GIB)}, Status.FAILED, f"{SOURCE} has 1024 MiB, and had 2 GiB"),
        ({SOURCE: VolumeSight(words="no route", age_s=40)}, Status.UNKNOWN, "42 s ago"),
    ],
)
def test_a_volume_is_what_the_destination_saw_of_it(sights: dict[str, VolumeSight], status: Status, words: str) -> None:
    found = finding("volumes", there(THERE.model_copy(update={"volumes": sights})), WITH_VOLUME)
    assert found.status is status
    assert found.words.startswith(words)


def test_nothing_is_copied_of_an_instance_that_has_only_volumes_so_block_migration_contradicts() -> None:
    root = SPEC.model_copy(update={"disks": (), "volumes": (VOLUME,), "home": "local"})
    need = replace(NEED, instance=root)
    seen = there(THERE.model_copy(update={"volumes": {SOURCE: VolumeSight(bytes=2 * GIB)}}))
    for block in (None, False):
        assert failed(seen, replace(need, block=block)) == []
    (only,) = failed(seen, replace(need, block=True))
    assert only[0] == "storage"
    assert only[1].words == f"block migration asked for, but {SOURCE} is shared with a"


FAILS: list[tuple[str, Candidate, Need, str]] = [
    ("instance", there(), replace(NEED, unfit="it is stopped"), "it is stopped"),
    (
        "devices",
        there(),
        replace(NEED, guest=GUEST.model_copy(update={"devices": ("hostdev (pci)",)})),
        "the guest holds devices of a: hostdev (pci)",
    ),
    ("source", there(view={"name": "a"}), NEED, "the instance is there already"),
    ("cleaned", there(), replace(NEED, holders=frozenset({"b"})), "it has not cleaned up yet"),
    ("up", there(view={"up": False, "silent_s": 70}), NEED, "its agent is down (silent for 70 s)"),
    ("enabled", there(view={"disabled": True}), NEED, "it is disabled"),
    ("vcpus", there(), replace(NEED, vcpus=9), "9 needed, 8 free"),
    ("memory", there(), replace(NEED, memory_mb=3001), "3001 MiB needed, 3000 MiB free"),
    ("disk", there(), replace(NEED, disk_gb=10), "10 GiB needed, 9 GiB free"),
    ("storage", there(), replace(NEED, block=False), "local is not shared with a; ask for block migration or auto"),
    (
        "volumes",
        there(THERE.model_copy(update={"volumes": {SOURCE: VolumeSight(words="Connection refused")}})),
        WITH_VOLUME,
        f"{SOURCE} is out of reach: Connection refused",
    ),
    ("network", there(networks=("other",)), NEED, "no bridge for private"),
    ("arch", there(arch="aarch64"), NEED, "the guest is x86_64, the host aarch64"),
    ("machine_type", there(machine_types=("q35",)), NEED, "it does not know pc-7"),
    ("hypervisor_version", there(hypervisor_version=6), NEED, "6 is older than the source's 7"),
    (
        "cpu",
        there(THERE.model_copy(update={"runs": {KEY: CpuAnswer(ok=False, words="it lacks avx2")}})),
        NEED,
        "it lacks avx2",
    ),
    (
        "uri",
        there(),
        replace(NEED, origin=here(HERE.model_copy(update={"peers": {"b": Reach(uri=B_URI, ok=False, words="no")}}))),
        f"a cannot reach {B_URI}: no",
    ),
    (
        "uri_back",
        there(THERE.model_copy(update={"peers": {"a": Reach(uri=A_URI, ok=False, words="refused")}})),
        NEED,
        f"b cannot reach {A_URI}: refused",
    ),
    ("clock", there(THERE.model_copy(update={"clock_offset_s": 4.1})), NEED, "they differ by 4.0 s; 2 s are allowed"),
    (
        "console",
        there(),
        replace(NEED, guest=GUEST.model_copy(update={"listens": ("10.0.0.1", "10.0.0.2")})),
        "a console of the guest listens on 10.0.0.1, which it does not have",
    ),
    ("tls", there(tls=TlsReport()), NEED, "b encrypts migrations (live_migration_with_native_tls), a does not"),
]


@pytest.mark.parametrize(("code", "candidate", "need", "words"), FAILS, ids=[row[0] for row in FAILS])
def test_a_check_that_fails_is_the_only_one_and_says_why(
    code: str, candidate: Candidate, need: Need, words: str
) -> None:
    assert finding(code, candidate, need).words.startswith(words)
    assert [name for name, _ in failed(candidate, need)] == [code]
    assert refusals(candidate, need)[0].startswith(f"{code}: {words}")
    assert rank([candidate], need) == []


def test_disks_that_may_be_over_committed_need_room_for_what_they_hold() -> None:
    (fact,) = GUEST.disks
    sparse = GUEST.model_copy(update={"disks": (fact.model_copy(update={"virtual_bytes": 500 * GIB}),)})
    need = replace(NEED, guest=sparse)
    assert "local: 500 GiB to copy" in finding("disk", there(), need).words
    assert finding("disk", there(), replace(need, over_commit=True)).status is Status.PASSED
    full = GUEST.model_copy(update={"disks": (fact.model_copy(update={"allocated_bytes": 500 * GIB}),)})
    assert finding("disk", there(), replace(NEED, guest=full, over_commit=True)).status is Status.FAILED


def test_every_check_is_made_to_fail_above() -> None:
    never = {"image"}  # a host may have its own copy: what the catalogue lacks is not known to fail
    assert [row[0] for row in FAILS] == [code for code in CODES if code not in never]


def test_all_failures_at_once() -> None:
    bare = THERE.model_copy(update={"clock_offset_s": 99.0, "runs": {KEY: CpuAnswer(ok=False)}})
    candidate = there(bare, view={"disabled": True}, machine_types=("q35",), arch="arm", networks=())
    codes = [code for code, _ in failed(candidate, replace(NEED, vcpus=99))]
    assert codes == ["enabled", "vcpus", "network", "arch", "machine_type", "cpu", "clock"]


# --- what is not known ------------------------------------------------------------------------------------------

UNKNOWN: list[tuple[str, Candidate, Need]] = [
    ("machine_type", there(machine_types=()), NEED),
    ("hypervisor_version", there(hypervisor_version=0), NEED),
    ("cpu", there(None), NEED),
    ("cpu", there(THERE.model_copy(update={"runs": {}})), NEED),
    ("cpu", there(age_s=KNOWN_S + 1), NEED),
    ("cpu", there(THERE.model_copy(update={"runs": {KEY: CpuAnswer(ok=True, age_s=KNOWN_S)}})), NEED),
    ("uri", there(), replace(NEED, origin=here(None))),
    ("uri", there(), replace(NEED, origin=here(age_s=KNOWN_S + 1))),
    ("uri", there(live_migration_uri="qemu+tls://elsewhere/system"), NEED),
    ("uri_back", there(None), NEED),
    ("uri_back", there(THERE.model_copy(update={"peers": {}})), NEED),
    ("clock", there(None), NEED),
    ("clock", there(), replace(NEED, origin=here(None))),
    ("clock", there(THERE.model_copy(update={"clock_offset_s": SKEW_S, "clock_error_s": 0.5})), NEED),
    ("console", there(None), replace(NEED, guest=GUEST.model_copy(update={"listens": ("10.0.0.2",)}))),
]


@pytest.mark.parametrize(("code", "candidate", "need"), UNKNOWN)
def test_what_nobody_has_looked_at_lately_is_unknown_and_keeps_no_host_away(
    code: str, candidate: Candidate, need: Need
) -> None:
    found = finding(code, candidate, need)
    assert found.status is Status.UNKNOWN
    assert found.words
    assert rank([candidate], need) == [candidate]


def test_without_a_description_of_the_guest_nothing_about_it_passes() -> None:
    need = replace(NEED, guest=None)
    found = {code: f.status for code, f in findings(there(), need)}
    unknown = {code for code, status in found.items() if status is Status.UNKNOWN}
    assert unknown == {"devices", "arch", "machine_type", "hypervisor_version", "cpu", "console"}
    assert rank([there()], need)


def test_what_is_too_old_says_how_old_it_is() -> None:
    found = finding("cpu", there(age_s=700))
    assert (found.status, found.age_s) == (Status.UNKNOWN, 700)
    assert found.words == "passed, as known 700 s ago; it counts for 600 s"
    old = finding("machine_type", there(view={"silent_s": 1000.0}, machine_types=("q35",)))
    assert old.words == "it does not know pc-7, as known 1000 s ago; it counts for 600 s"


def test_a_host_need_not_reach_itself() -> None:
    home = there(None, view={"name": "a"})
    assert {finding(code, home).status for code in ("uri", "uri_back")} == {Status.PASSED}


def test_a_failed_connection_stands_for_a_while_only() -> None:
    """It is tried again every few seconds: one that is old was told by an agent that does not look any more."""
    lost = HERE.model_copy(update={"peers": {"b": Reach(uri=B_URI, ok=False, words="no route", age_s=5)}})
    fresh = replace(NEED, origin=here(lost, age_s=FAILURE_STANDS_S - 5))
    assert finding("uri", there(), fresh).status is Status.FAILED
    old = replace(NEED, origin=here(lost, age_s=FAILURE_STANDS_S - 4))
    found = finding("uri", there(), old)
    assert (found.status, found.words) == (Status.UNKNOWN, "could not be reached 31 s ago: no route")


def test_clocks_are_compared_with_each_other_not_with_the_database() -> None:
    both_far = here(HERE.model_copy(update={"clock_offset_s": 1000.0}))
    candidate = there(THERE.model_copy(update={"clock_offset_s": 1001.0}))
    assert finding("clock", candidate, replace(NEED, origin=both_far)).status is Status.PASSED


# --- capacity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "status"), [(511.0, Status.FAILED), (512.0, Status.PASSED)])
def test_memory_is_what_the_claim_will_compare_and_domains_of_others_are_named(free: float, status: Status) -> None:
    candidate = there(ram_allocation_ratio=2.0, foreign_memory_mb=3200)
    found = finding("memory", replace(candidate, free_memory_mb=free))
    assert (found.status, found.age_s) == (status, 0)
    assert found.destination == f"{free:.0f} MiB free (4096 MiB, 512 reserved, ratio 2, 3200 of other domains)"


def test_a_disk_that_is_copied_needs_room_in_its_pool_at_the_size_that_the_guest_sees() -> None:
    short = report().storage["local"].model_copy(update={"free_gb": 1})
    candidate = there(storage={"local": short})
    assert finding("disk", candidate).words == "local: 2 GiB to copy, 1 free"
    assert finding("disk", there(storage={"local": short}, disk_allocation_ratio=2)).status is Status.PASSED
    shared = replace(NEED, guest=GUEST.model_copy(update={"storage": {"local": "B"}}))
    assert finding("disk", candidate, shared).status is Status.PASSED


# --- the key of a CPU -------------------------------------------------------------------------------------------


def test_equal_cpus_have_equal_keys() -> None:
    same = "<cpu>\n  <model>Westmere</model>\n  <numa><cell id='0'/></numa></cpu>"
    assert guest_cpu.key("x86_64", "pc-7", same) == KEY
    for other in (
        guest_cpu.key("x86_64", "pc-8", CPU),
        guest_cpu.key("i686", "pc-7", CPU),
        guest_cpu.key("x86_64", "pc-7", CPU.replace("Westmere", "EPYC")),
        guest_cpu.key("x86_64", "pc-7", "<cpu"),
    ):
        assert other != KEY
        assert len(other) == 16


@pytest.mark.parametrize(
    ("missing", "identity", "status"),
    [((), "B", Status.PASSED), (("im",), "B", Status.UNKNOWN), (("im",), "A", Status.PASSED)],
)
def test_an_image_that_the_catalogue_lacks_matters_where_disks_are_not_shared(
    missing: tuple[str, ...], identity: str, status: Status
) -> None:
    host = HostView(name="b", report=report(local=identity, live_migration_uri=B_URI), silent_s=1, up=True)
    candidate = Candidate(host, 8, 4096, 100)
    found = dict(findings(candidate, replace(NEED, missing_images=missing, live=False)))["image"]
    assert found.status is status
    assert ("im" in found.words) is (status is Status.UNKNOWN)
    moved = dict(findings(candidate, replace(NEED, missing_images=missing, source="a", live=True)))["image"]
    assert moved.status is Status.PASSED  # it comes from the source
