"""What a drain does next, from plain values."""

from dataclasses import replace

from migrator.scheduler.fleet.plan.model import Budgets, Way
from migrator.scheduler.fleet.plan.step import DrainView, GuestView, MoveView, Occupied, OperationView, step
from migrator.scheduler.fleet.plan.vocabulary import ATTEMPTS, DrainState, MoveState

HERE = GuestView("n1", "active")
WAITS = MoveView("u1", "a", "n1", MoveState.WAITING, Way.LIVE, "n2", guest=HERE)
MOVES = replace(WAITS, state=MoveState.MOVING, attempts=1, operation=OperationView(7, active=True))
VIEW = DrainView(DrainState.RUNNING, (WAITS,), Budgets(1, 1, 1), frozenset({"n2"}), plan_age_s=1.0)


def test_what_waits_begins_while_the_budgets_allow_it() -> None:
    second = replace(WAITS, uuid="u2", name="b")
    assert step(replace(VIEW, moves=(WAITS, second))).begin == [WAITS]
    assert step(replace(VIEW, moves=(MOVES, second))).begin == []


def test_moves_of_other_drains_count_for_destination_fleet_and_group() -> None:
    into = Occupied("x", "n9", "n2", None)
    assert step(replace(VIEW, others=(into,), budgets=Budgets(1, 1, 9))).begin == []
    assert step(replace(VIEW, others=(into,), budgets=Budgets(1, 2, 9))).begin == [WAITS]
    grouped = replace(WAITS, group="g")
    stopped = Occupied("x", "n9", None, "g", moving=False)
    assert step(replace(VIEW, moves=(grouped,), others=(stopped,), budgets=Budgets())).begin == []


def test_a_busy_instance_waits() -> None:
    busy = replace(WAITS, guest=GuestView("n1", "active", busy=True))
    assert step(replace(VIEW, moves=(busy,))).begin == []


def test_a_move_is_done_when_the_record_names_another_host() -> None:
    ended = replace(MOVES, operation=OperationView(7, active=False), guest=GuestView("n2", "active"))
    (change,) = step(replace(VIEW, moves=(ended,))).changes
    assert (change.state, change.message) == (MoveState.DONE, "a runs on n2")


def test_a_failed_move_is_tried_again_and_a_person_looks_after_the_last_attempt() -> None:
    failed = replace(MOVES, operation=OperationView(7, active=False, error="refused by n2"))
    (again,) = step(replace(VIEW, moves=(failed,))).changes
    assert (again.state, again.error) == (MoveState.WAITING, "refused by n2")
    last = replace(failed, attempts=ATTEMPTS)
    assert [c.state for c in step(replace(VIEW, moves=(last,))).changes] == [MoveState.FAILED]
    assert [c.state for c in step(replace(VIEW, moves=(last,), may_leave=True)).changes] == [MoveState.LEFT]


def test_a_plan_is_made_anew_when_its_destination_takes_nothing_in_any_more() -> None:
    assert step(replace(VIEW, usable=frozenset({"n3"}))).replan
    assert step(replace(VIEW, unlisted=True)).replan
    assert not step(VIEW).replan


def test_nothing_begins_after_the_deadline_and_what_runs_is_waited_for() -> None:
    assert step(replace(VIEW, moves=(MOVES,), late=True)).state is None
    assert step(replace(VIEW, late=True)).state is DrainState.INCOMPLETE


def test_a_paused_drain_confirms_and_begins_nothing() -> None:
    verifying = replace(MOVES, operation=OperationView(7, active=True, verifying=True))
    found = step(replace(VIEW, state=DrainState.PAUSED, moves=(verifying, replace(WAITS, uuid="u2"))))
    assert (found.confirm, found.begin) == ([verifying], ())


def test_a_cancelled_drain_confirms_what_is_there_already_unless_it_goes_back() -> None:
    verifying = replace(MOVES, operation=OperationView(7, active=True, verifying=True))
    view = replace(VIEW, state=DrainState.CANCELLING, moves=(verifying,))
    assert (step(view).confirm, step(view).cancel) == ([verifying], [])
    assert (step(replace(view, undo=True)).confirm, step(replace(view, undo=True)).cancel) == ([], [verifying])
    assert step(replace(view, moves=())).state is DrainState.CANCELLED
