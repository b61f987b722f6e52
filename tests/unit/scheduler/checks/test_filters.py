"""Filters and ranking: pure functions against tables."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.protocol import Survey
from migrator.scheduler.checks.filters import findings, rank, refusals
from migrator.scheduler.checks.finding import Candidate, PlacementRequest, Status, SurveyRecord
from migrator.scheduler.checks.neighbours import SOFT_AFFINITY, SOFT_ANTI_AFFINITY, Neighbours, ServerGroup
from migrator.scheduler.decision.snapshot import HostView, Liveness
from tests.unit.scheduler.checks.placed import GUEST, SPEC, report

NEED = PlacementRequest(instance=SPEC, vcpus=2, memory_mb=512, disk_gb=2, source="a", guest=GUEST)


def candidate(
    name: str = "b", *, view: dict[str, Any] | None = None, free: Any = (8, 4096, 9), **changes: Any
) -> Candidate:
    host = HostView(name=name, report=report(**changes), silent_s=0, liveness=Liveness.HEARD)
    return Candidate(replace(host, **(view or {})), *free)


REFUSALS = [
    (candidate(), NEED, []),
    (candidate("a"), NEED, ["source: the instance is there already"]),
    (candidate(), replace(NEED, refused={"b": ["no CPU", "no disk"]}), ["no CPU, no disk"]),
    (
        candidate(view={"liveness": Liveness.SILENT, "silent_s": 75.4}),
        NEED,
        ["up: its agent is down (silent for 75 s)"],
    ),
    (candidate(view={"liveness": Liveness.SILENT, "forced_down": True}), NEED, ["up: forced down by an operator"]),
    (candidate(view={"unreadable": "its report cannot be read"}), NEED, ["up: its report cannot be read"]),
    (
        replace(candidate(), surveyed=SurveyRecord(Survey(), 1, "its survey cannot be read")),
        NEED,
        ["up: its survey cannot be read"],
    ),
    (
        candidate(view={"approved": False}),
        NEED,
        ["enabled: no operator has approved it yet: `migrator host-approve b`"],
    ),
    (candidate(impaired="its disk is full"), NEED, ["enabled: its agent begins nothing: its disk is full"]),
    (candidate(view={"disabled": True}), NEED, ["enabled: it is disabled"]),
    (candidate("a"), replace(NEED, in_place=True), []),
    (
        candidate(),
        replace(NEED, holders=frozenset({"b"})),
        ["cleaned: it has not cleaned up yet what it had of the instance before"],
    ),
    (candidate(), replace(NEED, surviving={"shared": "G"}), []),
    (
        candidate(shared="H"),
        replace(NEED, surviving={"shared": "G"}),
        ["storage: it does not share shared, where the instance's disks are"],
    ),
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
def test_a_refusal_names_what_was_found(host: Candidate, need: PlacementRequest, reasons: list[str]) -> None:
    assert refusals(host, need) == reasons


def test_every_reason_is_given_and_not_the_first_only() -> None:
    host = candidate("b", view={"disabled": True}, free=(0, 0, 0), arch="arm")
    assert len(refusals(host, NEED)) == 5


def test_the_roomiest_host_comes_first_and_ties_go_by_name() -> None:
    hosts = [candidate("d", free=(8, 1000, 9)), candidate("c", free=(8, 2000, 9)), candidate("b", free=(8, 1000, 9))]
    assert [c.host.name for c in rank([candidate("a"), *hosts], NEED)] == ["c", "b", "d"]


@pytest.mark.parametrize(("policy", "free_mb", "first"), [(SOFT_AFFINITY, 1000, "b"), (SOFT_ANTI_AFFINITY, 3000, "c")])
def test_a_soft_policy_chooses_before_free_memory_does(policy: str, free_mb: int, first: str) -> None:
    """The other member is on b."""
    hosts = [candidate("b", free=(8, free_mb, 9)), candidate("c", free=(8, 2000, 9))]
    need = replace(NEED, neighbours=Neighbours(ServerGroup("g", policy, members={"x": frozenset({"b"})})))
    assert rank(hosts, need)[0].host.name == first


def test_an_image_that_is_lost_matters_unless_every_pool_is_shared() -> None:
    found = dict(findings(candidate(), replace(NEED, missing_images=("im",))))["image"]
    assert found.status is Status.UNKNOWN
