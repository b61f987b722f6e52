"""When a live migration copies a config drive before it begins to transfer, and what comes of it."""

from dataclasses import replace
from typing import Any

import pytest

from migrator.operations import Kind
from migrator.protocol import (
    UNKNOWN_ASSIGNMENT,
    CheckResult,
    DiskFact,
    DiskSpec,
    DomainFact,
    DomainState,
    Fact,
    JobFact,
    Problem,
)
from migrator.scheduler.decision import views
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Plan, Snapshot
from tests.unit.scheduler.checks.placed import GUEST, SPEC, snapshot

FIT = (CheckResult(name="c", ok=True),)
LENT = {"lent": {"sda": "/pool/i/.lent/disk.config"}}
RUNS = DomainFact(state=DomainState.RUNNING)
ABSENT = DomainFact(state=DomainState.ABSENT)


def moving(phase: str, pool: str | None = "local", learnt: dict[str, Any] | None = None, **more: Any) -> Snapshot:
    """``pool``: of the config drive; None: there is none."""
    drive = DiskSpec(target="sda", pool=pool or "", format="raw", size_gb=0, config_drive=True)
    described = (disk("vda", "/pool/i/disk"), disk("sda", "/pool/i/disk.config"))
    guest = GUEST.model_copy(update={"disks": described}).model_dump(mode="json")
    found = snapshot(Kind.LIVE_MIGRATION, phase, learnt={"guest": guest, **(learnt or {})}, **more)
    spec = SPEC.model_copy(update={"disks": (*SPEC.disks, drive)}) if pool else SPEC
    return replace(found, instance=spec)


def disk(target: str, path: str = "/d", checksum: str | None = None) -> DiskFact:
    return DiskFact(target=target, path=path, pool="local", exists=True, checksum=checksum)


def fact(phase: str, **parts: Any) -> Fact:
    return Fact(operation_id="o", epoch=3, phase=phase, incarnation=1, sequence=1, **parts)


def after(found: Snapshot, **facts: Fact) -> Plan:
    return decide(replace(found, facts=facts))


@pytest.mark.parametrize(("pool", "following"), [("local", "lend"), ("shared", "prepare"), (None, "prepare")])
def test_only_a_config_drive_that_the_hosts_do_not_share_is_copied(pool: str | None, following: str) -> None:
    assert after(moving("check", pool), b=fact("check", checks=FIT)).phase == following


def test_a_pool_that_only_seems_to_be_shared_is_none() -> None:
    """The destination has just found out: what is in that pool is copied by this very move."""
    found = after(moving("check", "shared"), b=fact("check", checks=FIT, proven=(), unproven=("shared",)))
    assert found.phase == "lend"
    assert found.context["shared"] == {"b": []}


@pytest.mark.parametrize(("pool", "above"), [("local", "fetch"), ("shared", "measure"), (None, "measure")])
def test_only_what_was_done_is_undone(pool: str | None, above: str) -> None:
    gone = fact("prepare", domain=ABSENT)
    assert after(moving("prepare", pool, forward=False), a=fact("prepare", domain=RUNS), b=gone).phase == above


def test_the_copy_is_undone_before_the_source_takes_back_what_it_lent() -> None:
    assert after(moving("fetch", forward=False), b=fact("fetch", domain=ABSENT)).phase == "lend"
    assert after(moving("lend", forward=False), a=fact("lend", domain=RUNS)).phase == "measure"


def test_the_destination_reads_what_is_lent_and_the_transfer_leaves_it_alone() -> None:
    plan = after(moving("lend"), a=fact("lend", domain=RUNS, disks=(disk("sda", LENT["lent"]["sda"]),)))
    assert (plan.phase, plan.context) == ("fetch", LENT)
    found = assignments(moving("fetch", learnt=LENT))
    assert found["a"].inputs == {"copy_disks": ["sda"], "images": []}
    inputs = found["b"].inputs
    assert inputs["copy_disks"] == ["sda"]
    assert [d["path"] for d in inputs["guest"]["disks"]] == ["/pool/i/disk", "/pool/i/.lent/disk.config"]
    transfer = assignments(moving("transfer", learnt=LENT))["a"].inputs
    assert transfer["copy_disks"] == ["vda"]


def test_both_checksums_end_the_copy_and_nothing_of_it_is_taken_for_the_transfers_result() -> None:
    job = JobFact(active=False, disk_total_bytes=9, disk_processed_bytes=9, elapsed_ms=7)
    mine = fact("fetch", domain=RUNS, disks=(disk("sda", checksum="x"),))
    for checksum, phase, forward in ((None, None, None), ("y", None, False), ("x", "prepare", None)):
        theirs = fact("fetch", domain=ABSENT, disks=(disk("sda", checksum=checksum),), job=job)
        plan = after(moving("fetch", learnt=LENT), a=mine, b=theirs)
        assert (plan.phase, plan.forward, plan.outcome) == (phase, forward, None)
        assert "copied" not in plan.context
    alone = fact("fetch", domain=ABSENT, disks=(disk("sda", checksum="x"),))
    assert after(moving("fetch", learnt=LENT), b=alone).phase is None


@pytest.mark.parametrize("phase", ["lend", "fetch"])
def test_a_source_that_cannot_lend_refuses_the_move(phase: str) -> None:
    """Its agent is older than the server: a wait for it has no end, and the guest runs where it is."""
    problem = Problem(code=UNKNOWN_ASSIGNMENT, message="unknown assignment 'lent': upgrade it", final=False)
    here = fact(phase, problem=problem)
    plan = after(moving(phase, learnt=LENT), a=here, b=fact(phase, domain=ABSENT, disks=(disk("sda", checksum="x"),)))
    assert plan.forward is False
    assert plan.error is not None
    assert plan.error["code"] == UNKNOWN_ASSIGNMENT
    assert "upgrade it" in plan.error["message"]


def test_no_other_disk_is_ever_lent() -> None:
    assert views.lent_targets(moving("lend")) == ("sda",)
    assert views.lent_targets(moving("lend", None)) == ()


def test_an_image_that_the_catalogue_has_lost_is_lent_where_there_is_no_config_drive() -> None:
    over_it = disk("vda", "/pool/i/disk").model_copy(update={"backing_image_id": "image"})
    described = {"guest": GUEST.model_copy(update={"disks": (over_it,)}).model_dump(mode="json")}
    lost = moving("check", None, learnt=described, lost_images=["image"])
    assert after(lost, b=fact("check", checks=FIT)).phase == "lend"
    kept = moving("check", None, learnt=described, lost_images=["another"])
    assert after(kept, b=fact("check", checks=FIT)).phase == "prepare"
