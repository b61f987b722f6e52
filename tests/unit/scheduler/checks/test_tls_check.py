"""The check "tls" as a table: what two hosts tell of their certificates, and what is said about it."""

from dataclasses import replace

import pytest

from migrator.operations import Kind
from migrator.protocol import TlsReport
from migrator.scheduler.checks.filters import findings, refusals
from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, SourceHost, Status
from migrator.scheduler.decision.assignments import assignments
from migrator.scheduler.decision.snapshot import HostView, Liveness
from migrator.settings import AgentSettings
from tests.unit.scheduler.checks.placed import SPEC, report, snapshot

NOW = 1_800_000_000.0
DAY = 86400.0
GOOD = TlsReport(issuers=("ca1",), trusted=("ca1",), not_before=NOW - DAY, not_after=NOW + 30 * DAY)


def judged(source: TlsReport | None, destination: TlsReport | None) -> CheckFinding:
    def view(name: str, tls: TlsReport | None) -> HostView:
        return HostView(name=name, report=report(tls=tls), silent_s=1, liveness=Liveness.HEARD, now=NOW)

    need = PlacementRequest(
        instance=SPEC, vcpus=1, memory_mb=1, disk_gb=0, live=True, origin=SourceHost(view("a", source)), source="a"
    )
    candidate = Candidate(view("b", destination), 8, 4096, 99)
    found = dict(findings(candidate, need))["tls"]
    assert (found.status is Status.FAILED) == any(line.startswith("tls: ") for line in refusals(candidate, need))
    assert "tls" not in dict(findings(candidate, replace(need, live=False)))
    return found


def but(**changes: object) -> TlsReport:
    return GOOD.model_copy(update=changes)


ROTATED = but(issuers=("ca2",), trusted=("ca1", "ca2"))


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        (None, None, ""),
        (GOOD, GOOD, ""),
        (but(trusted=("ca1", "ca2")), ROTATED, ""),
        (GOOD, None, "a encrypts migrations (live_migration_with_native_tls), b does not"),
        (None, GOOD, "b encrypts migrations (live_migration_with_native_tls), a does not"),
        (GOOD, but(message="no ca-cert.pem"), "b cannot encrypt: no ca-cert.pem"),
        (but(not_after=NOW - 3 * DAY), GOOD, "a certificate of a expired 3 days ago"),
        (but(not_after=NOW), GOOD, "a certificate of a expired 0.0 h ago"),
        (GOOD, but(not_before=NOW + 3600), "a certificate of b does not hold for another 1.0 h"),
        (but(message="one"), but(message="two"), "a cannot encrypt: one; b cannot encrypt: two"),
        (GOOD, ROTATED, "a does not trust the authority that signed the certificates of b"),
        (ROTATED, GOOD, "b does not trust the authority that signed the certificates of a"),
        (GOOD, but(issuers=("x",), trusted=("x",)), "b does not trust the authority"),
    ],
)
def test_either_both_encrypt_and_accept_each_other_or_neither(
    source: TlsReport | None, destination: TlsReport | None, message: str
) -> None:
    found = judged(source, destination)
    assert found.status is (Status.FAILED if message else Status.PASSED)
    assert found.message.startswith(message)
    assert bool(found.message) == bool(message)


def test_what_was_found_is_shown_for_both() -> None:
    found = judged(GOOD, GOOD)
    assert found.source == "encrypts, CA ca1, 30 days left"
    assert judged(None, None).destination == "not encrypted"


def test_without_a_source_nothing_is_known() -> None:
    need = PlacementRequest(instance=SPEC, vcpus=1, memory_mb=1, disk_gb=0, live=True)
    candidate = Candidate(HostView(name="b", report=report(), silent_s=1, liveness=Liveness.HEARD), 8, 4096, 99)
    assert dict(findings(candidate, need))["tls"].status is Status.UNKNOWN


def test_the_uri_follows_the_setting_unless_it_is_given() -> None:
    plain, native = AgentSettings(), AgentSettings(live_migration_with_native_tls=True)
    given = AgentSettings(live_migration_with_native_tls=True, live_migration_uri="qemu+tcp://%s:77/system")
    found = [settings.migration_uri("h") for settings in (plain, native, given)]
    assert found == ["qemu+tcp://h/system", "qemu+tls://h/system", "qemu+tcp://h:77/system"]


@pytest.mark.parametrize("encrypts", [(), ("a",), ("b",), ("a", "b")])
def test_a_transfer_is_encrypted_if_any_end_wants_it(encrypts: tuple[str, ...]) -> None:
    found = snapshot(Kind.LIVE_MIGRATION, "transfer")
    views = {
        name: replace(view, report=view.report.model_copy(update={"tls": GOOD if name in encrypts else None}))
        for name, view in found.hosts.items()
    }
    inputs = assignments(replace(found, hosts=views))["a"].inputs
    assert inputs["tls"] == bool(encrypts)
