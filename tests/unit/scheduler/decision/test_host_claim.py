"""What becomes of an operation that looks for a host, by what the placement found and by who goes before it."""

from dataclasses import replace
from typing import Any

from migrator.operations import Kind
from migrator.scheduler.decision.decide import decide
from migrator.scheduler.decision.snapshot import Placement, Plan, Question, QueuePosition, Snapshot
from tests.model import server
from tests.unit.scheduler.decision.deciding import UP, letter, op

FULL = {"b": ["vcpus: 2 needed, 1 free"]}


def claiming(kind: Kind = Kind.MIGRATION, **changes: Any) -> Snapshot:
    return replace(server.snapshot_of(op(kind, "claim", destination=None), (None, None), UP), **changes)


def placed(found: Placement, **changes: Any) -> Plan:
    return decide(claiming(placement=found, **changes))


def test_a_host_with_room_is_claimed_once_the_placement_is_known() -> None:
    assert decide(claiming()).asks is Question.PLACEMENT
    found = placed(Placement("b"))
    assert (letter(found), found.destination) == ("N", "b")


def test_a_host_that_takes_in_as_many_as_it_may_is_waited_for_by_name() -> None:
    found = placed(Placement("b", ahead=3), inbound_limit=2)
    assert (found.phase, found.effect, found.destination) == (None, None, "b")
    assert str(found.wait_reason).startswith("queued: position 2 of what comes into b")


def test_what_waits_for_a_host_asks_for_no_other_one_while_others_go_first() -> None:
    seen = server.snapshot_of(op(Kind.MIGRATION, "claim"), (None, None), UP)
    found = decide(replace(seen, inbound=QueuePosition(5, foremost=False), inbound_limit=2, placement=Placement("b")))
    assert (found.phase, found.effect) == (None, None)
    assert str(found.wait_reason).startswith("queued: position 4 of what comes into b")


def test_hosts_that_could_not_speak_yet_are_waited_for_before_anything_is_refused() -> None:
    found = placed(Placement(silent_hosts=["b", "c"], refusals=FULL))
    assert (found.final_status, found.forward, found.error) == (None, None, None)
    assert found.wait_reason == "waiting for b, c to speak to the servers, which just came back"


def test_what_no_host_takes_says_why_and_holds_none() -> None:
    checks = {"b": [{"code": "vcpus"}]}
    found = placed(Placement(refusals=FULL, checks=checks))
    assert (found.forward, found.clear_destination, found.destination) == (False, True, None)
    assert found.error is not None
    assert (found.error["code"], found.error["checks"]) == ("no_valid_host", checks)
    assert "b: vcpus: 2 needed, 1 free" in found.error["message"]
