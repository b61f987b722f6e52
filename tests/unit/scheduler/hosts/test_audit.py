"""What a host lists, held against the record: every state of a copy against every kind of record."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from migrator.alarms import AlarmKind
from migrator.db.host_domains import HeldCopy
from migrator.protocol import DomainState
from migrator.scheduler.hosts.audit import Subject, differences

UUID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Record:
    host: str | None = "n1"
    deleted: bool = False
    launched_at: float | None = 1.0
    quiet: bool = True
    vm_state: str = "active"


@dataclass(frozen=True)
class Operation:
    source: str | None
    destination: str | None = None
    locks_instance: bool = True
    kind: str = "evacuation"
    phase: str = "start"


def copy(state: str = "running", **more: Any) -> HeldCopy:
    return HeldCopy(UUID, state, "op", 1, **({"stamp_host": "n2"} | more))


def kinds(host: str, **more: Any) -> list[tuple[str, bool]]:
    parts: dict[str, Any] = {"copy": copy(), "record": Record()} | more
    subject = Subject(UUID, **parts)
    return [(one.kind.value, one.certain) for one in differences(host, subject)]


LIVE = (DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING)


@pytest.mark.parametrize("state", DomainState)
def test_only_what_may_execute_guest_code_is_wrong_elsewhere_or_without_a_record(state: DomainState) -> None:
    found = copy(state.value)
    assert kinds("n2", copy=found) == ([("copy-elsewhere", True)] if state in LIVE else [])
    for none in (None, Record(deleted=True)):
        assert kinds("n2", copy=found, record=none) == ([("no-record", True)] if state in LIVE else [])
    assert kinds("n1", copy=found) == []


def test_a_mere_claim_is_no_difference_of_the_instance() -> None:
    for record in (Record(), None, Record(deleted=True)):
        assert kinds("n2", copy=copy(stamp_host=None, believed=False), record=record) == []


@pytest.mark.parametrize(("host", "state"), [("n1", "running"), ("n2", "running"), ("n2", "shut_off"), ("n1", "saved")])
def test_a_newer_stamp_is_wrong_anywhere_at_any_time(host: str, state: str) -> None:
    busy = (Operation("n1", "n2"),)
    for record in (Record(), replace(Record(), quiet=False)):
        found = kinds(host, copy=copy(state), record=record, newer=True, operations=busy)
        assert ("copy-newer", True) in found


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ((), [("copy-elsewhere", True)]),
        ((Operation("n1", "n3"),), [("copy-elsewhere", True)]),
        ((Operation("n1", "n2"),), []),
        ((Operation("n2", locks_instance=False),), []),
        ((Operation("n3", locks_instance=False),), [("copy-elsewhere", True)]),
        # Its cleaning up leaves a running guest alone: that there is one is not because of it.
        ((Operation("n2", locks_instance=False, kind="migration"),), [("copy-elsewhere", True)]),
        ((Operation("n2", kind="migration", phase="stop"),), []),
    ],
)
def test_a_copy_that_an_operation_is_about_is_no_surprise(operations: Any, found: list[tuple[str, bool]]) -> None:
    assert kinds("n2", operations=operations) == found


# A cold move's phases: whether its guest may run at the source, and at the destination, while it is in them.
TURNS = {
    "inspect": (True, False),
    "stop": (True, False),
    "offer": (False, False),
    "copy": (False, False),
    "start": (False, True),
    "keep": (False, True),
    "attest": (False, True),
    "a phase of another release": (True, True),
}


@pytest.mark.parametrize("kind", ["migration", "resize"])
@pytest.mark.parametrize("phase", TURNS)
def test_a_guest_that_is_moved_while_it_is_stopped_has_its_turn_on_each_host(kind: str, phase: str) -> None:
    operations = (Operation("n1", "n2", kind=kind, phase=phase),)
    on_source = kinds("n1", record=Record(host="n2"), operations=operations)
    on_destination = kinds("n2", record=Record(host="n1"), operations=operations)
    assert (on_source == [], on_destination == []) == TURNS[phase]


def test_a_guest_that_is_moved_while_it_runs_may_be_at_both_ends() -> None:
    for phase in ("prepare", "transfer", "cleanup"):
        operations = (Operation("n1", "n2", kind="live-migration", phase=phase),)
        assert kinds("n1", record=Record(host="n2"), operations=operations) == []


def test_a_record_that_changed_a_moment_ago_raises_nothing_and_clears_nothing() -> None:
    young = replace(Record(), quiet=False)
    assert kinds("n2", record=young) == [("copy-elsewhere", False)]
    assert kinds("n1", copy=None, record=young) == [("domain-gone", False)]
    assert kinds("n2", record=replace(young, deleted=True)) == [("no-record", False)]


@pytest.mark.parametrize(
    ("record", "operations", "found"),
    [
        (Record(), (), [("domain-gone", True)]),
        (Record(launched_at=None, vm_state="error"), (), []),
        (Record(host="n3"), (), []),
        (Record(), (Operation("n1"),), [("domain-gone", False)]),
        (Record(), (Operation("n2", locks_instance=False),), [("domain-gone", True)]),
    ],
)
def test_a_domain_that_is_missing_where_it_is_recorded(record: Record, operations: Any, found: Any) -> None:
    assert kinds("n1", copy=None, record=record, operations=operations) == found


def test_a_deleted_instance_that_its_host_still_has_to_clean_up_is_no_surprise() -> None:
    assert kinds("n2", record=Record(deleted=True), operations=(Operation("n2", locks_instance=False),)) == []
    left_alone = (Operation("n2", locks_instance=False, kind="live-migration"),)
    assert kinds("n2", record=Record(deleted=True), operations=left_alone) == [("no-record", True)]


def test_the_words_name_hosts_and_what_a_seal_for_another_host_may_mean() -> None:
    record: Any = Record()
    subject = Subject(UUID, copy("paused", stamp_host="n1"), record)
    (one,) = differences("n9", subject)
    assert one.kind is AlarmKind.COPY_ELSEWHERE
    assert one.message == (
        "is paused on n9, but its record says n1 (its stamp was issued for n1: is n9 that host, renamed?)"
    )
