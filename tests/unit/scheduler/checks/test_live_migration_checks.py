"""The checks before a live migration, as a table: passed, failed or unknown, with what was found on both hosts."""

from dataclasses import replace

import pytest

from migrator.checks import CHECKS
from migrator.protocol import (
    CpuAnswer,
    PeerProbe,
    TlsReport,
    VolumeProbe,
    guest_cpu,
)
from migrator.scheduler.checks.aggregates import HostAggregates
from migrator.scheduler.checks.filters import CODES, FILTERS, REFUSED, failed, findings, rank, refusals
from migrator.scheduler.checks.finding import (
    Candidate,
    PlacementRequest,
    Status,
)
from migrator.scheduler.checks.neighbours import Neighbours, ServerGroup
from migrator.scheduler.decision.snapshot import HostView, Liveness
from tests.unit.scheduler.checks.fitting_hosts import (
    A_URI,
    B_URI,
    CPU,
    GIB,
    GUEST,
    HERE,
    KEY,
    NEED,
    SPEC,
    THERE,
    finding,
    here,
    there,
)
from tests.unit.scheduler.checks.placed import report
from tests.unit.scheduler.checks.test_volume_checks import SOURCE, WITH_VOLUME


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
    assert not any(f.message for _, f in found)
    assert refusals(there(), NEED) == []


def test_a_build_is_not_asked_what_concerns_a_live_migration() -> None:
    build = PlacementRequest(instance=SPEC, vcpus=2, memory_mb=512, disk_gb=1)
    live = {row.code for row in FILTERS if row.live}
    assert live == {"instance", "devices", "cpu", "uri", "uri_back", "clock", "console", "tls"}
    assert not live & {code for code, _ in findings(there(None), build)}
    assert refusals(there(None), build) == []


OTHER, ELSEWHERE = {"x": frozenset({"b"})}, frozenset({"c"})
GROUP = ServerGroup("g", "anti-affinity", 1, OTHER)
FAILS: list[tuple[str, Candidate, PlacementRequest, str]] = [
    ("instance", there(), replace(NEED, unfit="it is stopped"), "it is stopped"),
    (
        "devices",
        there(),
        replace(NEED, guest=GUEST.model_copy(update={"devices": ("hostdev (pci)",)})),
        "the guest holds devices of a: hostdev (pci)",
    ),
    ("source", there(view={"name": "a"}), NEED, "the instance is there already"),
    ("cleaned", there(), replace(NEED, holders=frozenset({"b"})), "it has not cleaned up yet"),
    ("up", there(view={"liveness": Liveness.SILENT, "silent_s": 70}), NEED, "its agent is down (silent for 70 s)"),
    ("enabled", there(view={"disabled": True}), NEED, "it is disabled"),
    ("zone", there(), replace(NEED, aggregates=HostAggregates("az")), "it is in availability zone nova"),
    ("aggregate", there(), replace(NEED, aggregates=HostAggregates(None, {"ssd": "1"})), "no aggregate of it has"),
    (
        "server_group",
        there(),
        replace(NEED, neighbours=Neighbours(GROUP)),
        "server group g (anti-affinity): x is there",
    ),
    (
        "same_host",
        there(),
        replace(NEED, neighbours=Neighbours(same_host={"x": ELSEWHERE})),
        "it has to be on the host",
    ),
    (
        "different_host",
        there(),
        replace(NEED, neighbours=Neighbours(None, {}, OTHER)),
        "it has to be kept apart from x",
    ),
    ("vcpus", there(), replace(NEED, vcpus=9), "9 needed, 8 free"),
    ("memory", there(), replace(NEED, memory_mb=3001), "3001 MiB needed, 3000 MiB free"),
    ("disk", there(), replace(NEED, disk_gb=10), "10 GiB needed, 9 GiB free"),
    ("storage", there(), replace(NEED, block=False), "local is not shared with a; ask for block migration or auto"),
    (
        "volumes",
        there(THERE.model_copy(update={"volumes": {SOURCE: VolumeProbe(message="Connection refused")}})),
        WITH_VOLUME,
        f"{SOURCE} is out of reach: Connection refused",
    ),
    ("network", there(networks=("other",)), NEED, "no bridge for private"),
    ("arch", there(arch="aarch64"), NEED, "the guest is x86_64, the host aarch64"),
    ("machine_type", there(machine_types=("q35",)), NEED, "it does not know pc-7"),
    ("hypervisor_version", there(hypervisor_version=6), NEED, "6 is older than the source's 7"),
    (
        "cpu",
        there(THERE.model_copy(update={"runs": {KEY: CpuAnswer(ok=False, message="it lacks avx2")}})),
        NEED,
        "it lacks avx2",
    ),
    (
        "uri",
        there(),
        replace(
            NEED, origin=here(HERE.model_copy(update={"peers": {"b": PeerProbe(uri=B_URI, ok=False, message="no")}}))
        ),
        f"a cannot reach {B_URI}: no",
    ),
    (
        "uri_back",
        there(THERE.model_copy(update={"peers": {"a": PeerProbe(uri=A_URI, ok=False, message="refused")}})),
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


@pytest.mark.parametrize(("code", "candidate", "need", "message"), FAILS, ids=[row[0] for row in FAILS])
def test_a_check_that_fails_is_the_only_one_and_says_why(
    code: str, candidate: Candidate, need: PlacementRequest, message: str
) -> None:
    assert finding(code, candidate, need).message.startswith(message)
    assert [name for name, _ in failed(candidate, need)] == [code]
    assert refusals(candidate, need)[0].startswith(f"{code}: {message}")
    assert rank([candidate], need) == []


def test_disks_that_may_be_over_committed_need_room_for_what_they_hold() -> None:
    (fact,) = GUEST.disks
    sparse = GUEST.model_copy(update={"disks": (fact.model_copy(update={"virtual_bytes": 500 * GIB}),)})
    need = replace(NEED, guest=sparse)
    assert "local: 500 GiB to copy" in finding("disk", there(), need).message
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


def test_a_host_need_not_reach_itself() -> None:
    home = there(None, view={"name": "a"})
    assert {finding(code, home).status for code in ("uri", "uri_back")} == {Status.PASSED}


def test_clocks_are_compared_with_each_other_not_with_the_database() -> None:
    both_far = here(HERE.model_copy(update={"clock_offset_s": 1000.0}))
    candidate = there(THERE.model_copy(update={"clock_offset_s": 1001.0}))
    assert finding("clock", candidate, replace(NEED, origin=both_far)).status is Status.PASSED


@pytest.mark.parametrize(("free", "status"), [(511.0, Status.FAILED), (512.0, Status.PASSED)])
def test_memory_is_what_the_claim_will_compare_and_domains_of_others_are_named(free: float, status: Status) -> None:
    candidate = there(ram_allocation_ratio=2.0, foreign_memory_mb=3200)
    found = finding("memory", replace(candidate, free_memory_mb=free))
    assert (found.status, found.age_s) == (status, 0)
    assert found.destination == f"{free:.0f} MiB free (4096 MiB, 512 reserved, ratio 2, 3200 of other domains)"


def test_a_disk_that_is_copied_needs_room_in_its_pool_at_the_size_that_the_guest_sees() -> None:
    short = report().storage["local"].model_copy(update={"free_gb": 1})
    candidate = there(storage={"local": short})
    assert finding("disk", candidate).message == "local: 2 GiB to copy, 1 free"
    assert finding("disk", there(storage={"local": short}, disk_allocation_ratio=2)).status is Status.PASSED
    shared = replace(NEED, guest=GUEST.model_copy(update={"storage": {"local": "B"}}))
    assert finding("disk", candidate, shared).status is Status.PASSED


def test_disks_that_are_copied_into_one_pool_need_room_together() -> None:
    disks = tuple(SPEC.disks[0].model_copy(update={"target": target, "size_gb": 5}) for target in ("vda", "vdb"))
    need = replace(NEED, instance=SPEC.model_copy(update={"disks": disks}))
    assert finding("disk", there(), need).message == "local: 10 GiB to copy, 9 free"


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
    host = HostView(
        name="b", report=report(local=identity, live_migration_uri=B_URI), silent_s=1, liveness=Liveness.HEARD
    )
    candidate = Candidate(host, 8, 4096, 100)
    found = dict(findings(candidate, replace(NEED, missing_images=missing, live=False)))["image"]
    assert found.status is status
    assert ("im" in found.message) is (status is Status.UNKNOWN)
    moved = dict(findings(candidate, replace(NEED, missing_images=missing, source="a", live=True)))["image"]
    assert moved.status is Status.PASSED  # it comes from the source
