"""Checks without a recent answer, before a live migration: unknown, and no host is kept away by them."""

from dataclasses import replace

import pytest

from migrator.protocol import (
    CpuAnswer,
    PeerProbe,
)
from migrator.scheduler.checks.filters import findings, rank
from migrator.scheduler.checks.finding import (
    FAILURE_STANDS_S,
    KNOWN_S,
    Candidate,
    PlacementRequest,
    Status,
)
from migrator.scheduler.checks.guest_checks import SKEW_S
from tests.unit.scheduler.checks.fitting_hosts import B_URI, GUEST, HERE, KEY, NEED, THERE, finding, here, there

UNKNOWN: list[tuple[str, Candidate, PlacementRequest]] = [
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
    code: str, candidate: Candidate, need: PlacementRequest
) -> None:
    found = finding(code, candidate, need)
    assert found.status is Status.UNKNOWN
    assert found.message
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
    assert found.message == "passed, as known 700 s ago; it counts for 600 s"
    old = finding("machine_type", there(view={"silent_s": 1000.0}, machine_types=("q35",)))
    assert old.message == "it does not know pc-7, as known 1000 s ago; it counts for 600 s"


def test_a_failed_connection_stands_for_a_while_only() -> None:
    """It is tried again every few seconds: one that is old was told by an agent that does not look any more."""
    lost = HERE.model_copy(update={"peers": {"b": PeerProbe(uri=B_URI, ok=False, message="no route", age_s=5)}})
    fresh = replace(NEED, origin=here(lost, age_s=FAILURE_STANDS_S - 5))
    assert finding("uri", there(), fresh).status is Status.FAILED
    old = replace(NEED, origin=here(lost, age_s=FAILURE_STANDS_S - 4))
    found = finding("uri", there(), old)
    assert (found.status, found.message) == (Status.UNKNOWN, "could not be reached 31 s ago: no route")
