"""Older and newer versions talk to each other: what one side does not know silences nothing else."""

from typing import Any

import pytest

from migrator.compute.agent import poll_interval
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import UNKNOWN_ASSIGNMENT, Assignments, DomainState, Ensure, Facts, Poll
from tests.unit.compute.agent.two_hosts import SPEC, World, assignment, state

KNOWN = {"operation_id": "known", "epoch": 1, "phase": "stop", "incarnation": 1, "sequence": 2}


def answer(*assignments: dict[str, Any]) -> Assignments:
    return Assignments.model_validate({"digest": "d", "answers": 1, "assignments": assignments, "hint": "newer"})


def test_an_assignment_with_an_unknown_field_is_acted_on() -> None:
    body = assignment(Ensure.OBSERVED).model_dump(mode="json") | {"urgency": "high"}
    assert answer(body).assignments == (assignment(Ensure.OBSERVED),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ensure": "encrypted"}, "unknown assignment 'encrypted': this agent is older than the server; upgrade it"),
        ({"role": "witness"}, "this agent cannot read the assignment (role: "),
        ({"instance": {}}, "this agent cannot read the assignment (instance.uuid: "),
    ],
)
def test_an_unknown_assignment_stands_apart_from_the_others(change: dict[str, Any], reason: str) -> None:
    known = assignment(Ensure.OBSERVED)
    found = answer(known.model_dump(mode="json") | {"operation_id": "new", "phase": "p"} | change, known.model_dump())
    assert found.assignments == (known,)
    assert [(a.operation_id, a.epoch, a.phase) for a in found.unreadable] == [("new", 1, "p")]
    assert found.unreadable[0].reason.startswith(reason)


@pytest.mark.parametrize(
    "nonsense", [None, 7, "words", [], {}, {"operation_id": "x"}, {"operation_id": 1, "epoch": -1}]
)
def test_an_assignment_of_nothing_is_left_out(nonsense: Any) -> None:
    known = assignment(Ensure.OBSERVED)
    found = answer(nonsense, known.model_dump(mode="json"))
    assert (found.assignments, found.unreadable) == ((known,), ())


def test_what_could_not_be_read_never_goes_over_the_wire() -> None:
    found = answer(assignment(Ensure.OBSERVED).model_dump() | {"ensure": "encrypted"})
    assert found.unreadable
    assert "unreadable" not in found.model_dump()
    forged = {"operation_id": "x", "epoch": 1, "phase": "p"}
    assert Assignments.model_validate({"digest": "", "assignments": [], "unreadable": [forged]}).unreadable == ()


def test_the_agent_answers_an_unknown_assignment_with_a_problem_that_names_it() -> None:
    world = World()
    unknown = answer(assignment(Ensure.OBSERVED).model_dump() | {"ensure": "encrypted"}).unreadable[0]
    fact = world.workers["a"].refuse(unknown)
    assert (fact.operation_id, fact.epoch, fact.phase) == (unknown.operation_id, unknown.epoch, unknown.phase)
    assert fact.problem is not None
    assert (fact.problem.code, fact.problem.final) == (UNKNOWN_ASSIGNMENT, False)
    assert "encrypted" in fact.problem.message
    assert fact.domain is None


def test_a_fact_with_an_unknown_field_is_taken() -> None:
    found = Facts.model_validate({"facts": [KNOWN | {"temperature": 40}], "batch": 7})
    assert [fact.operation_id for fact in found.facts] == ["known"]


@pytest.mark.parametrize(
    "change", [{"domain": {"state": "hibernating"}}, {"attempt": {"state": "resumed"}}, {"disks": [{"target": "vda"}]}]
)
def test_an_unknown_fact_stands_apart_from_the_others(change: dict[str, Any]) -> None:
    found = Facts.model_validate({"facts": [KNOWN | {"operation_id": "new", "sequence": 3} | change, KNOWN]})
    assert [fact.operation_id for fact in found.facts] == ["known"]
    assert [(f.operation_id, f.sequence) for f in found.unreadable] == [("new", 3)]
    assert "this server cannot read the host's report" in found.unreadable[0].reason


def test_a_copy_in_an_unknown_state_does_not_silence_the_host() -> None:
    copies = [{"uuid": "a", "state": "hibernating"}, {"uuid": "b", "state": "running", "colour": "red"}]
    found = Poll.model_validate({"incarnation": 1, "copies": copies, "mood": "good"}).copies
    assert found is not None
    assert [(copy.uuid, copy.state) for copy in found] == [("b", DomainState.RUNNING)]


@pytest.mark.parametrize("nonsense", [["x"], {"x": "y"}, 7, None])
def test_a_copy_whose_state_is_no_word_does_not_silence_the_host(nonsense: Any) -> None:
    """A list was compared by its hash, which it has not: the agent was answered with 500."""
    copies = [{"uuid": "a", "state": nonsense}, {"uuid": "b", "state": "running"}]
    found = Poll.model_validate({"incarnation": 1, "copies": copies}).copies
    assert found is not None
    assert [copy.uuid for copy in found] == ["b"]


@pytest.mark.parametrize("nonsense", [7, None, "words", {"x": 1}, [7]])
def test_unreadable_things_of_a_sender_count_for_nothing(nonsense: Any) -> None:
    """A number was gone through like a list, and the agent was answered with 500."""
    assert Facts.model_validate({"facts": [KNOWN], "unreadable": nonsense}).unreadable == ()
    assert Assignments.model_validate({"digest": "", "assignments": [], "unreadable": nonsense}).unreadable == ()


# --- facts that are sent again --------------------------------------------------------------------------------------


def test_an_unchanged_fact_is_sent_again_under_its_old_number_after_a_while() -> None:
    world, reports = World(), poll_interval.Reports()
    world.boot()
    first = world.act("a", Ensure.OBSERVED)
    assert reports.due(first, 100.0, 0.5) is first
    again = world.act("a", Ensure.OBSERVED)
    assert again.sequence > first.sequence
    assert reports.due(again, 100.0 + poll_interval.REPEAT_S - 0.1, 0.5) is None
    assert reports.due(again, 100.0 + poll_interval.REPEAT_S, 0.5) is first
    assert reports.due(again, 100.0 + poll_interval.REPEAT_S + 1, 0.5) is None
    assert reports.unchanged == 3


def test_a_fact_that_changed_is_sent_at_once() -> None:
    world, reports = World(), poll_interval.Reports()
    world.boot()
    assert reports.due(world.act("a", Ensure.OBSERVED), 100.0, 0.5) is not None
    SimulatedHypervisor("a", world.simulation).destroy(SPEC.uuid)
    changed = world.act("a", Ensure.OBSERVED)
    assert state(changed) is DomainState.SHUT_OFF
    assert reports.due(changed, 100.1, 0.5) is changed
    assert reports.unchanged == 0
