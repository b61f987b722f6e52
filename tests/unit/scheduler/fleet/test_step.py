"""What a drain does next, from plain values."""

from dataclasses import replace

from migrator.scheduler.fleet.plan.model import Budgets, Way
from migrator.scheduler.fleet.plan.step import (
    AGAIN_S,
    DrainView,
    GuestView,
    MoveView,
    Occupied,
    OperationView,
    Step,
    step,
)
from migrator.scheduler.fleet.plan.vocabulary import ATTEMPTS, DrainState, MoveState

HERE = GuestView("n1", "active")
WAITS = MoveView("u1", "a", "n1", MoveState.WAITING, Way.LIVE, "n2", guest=HERE)
MOVES = replace(WAITS, state=MoveState.MOVING, attempts=1, operation=OperationView(7, active=True))
SILENT = {"n1": "host n1 is silent: bring it back, or evacuate it"}
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


def test_one_member_of_a_group_moves_at_a_time() -> None:
    first, second = replace(WAITS, group="g"), replace(WAITS, group="g", uuid="u2", name="b")
    assert step(replace(VIEW, moves=(first, second), budgets=Budgets())).begin == [first]
    assert step(replace(VIEW, moves=(replace(MOVES, group="g"), second), budgets=Budgets())).begin == []


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


def test_a_plan_that_has_no_place_for_an_instance_is_made_again_after_a_while() -> None:
    stuck = replace(WAITS, state=MoveState.STUCK, way=None, destination=None)
    assert not step(replace(VIEW, moves=(stuck,), plan_age_s=AGAIN_S - 1)).replan
    assert step(replace(VIEW, moves=(stuck,), plan_age_s=AGAIN_S)).replan


def test_a_drain_without_a_plan_gets_one_and_is_not_over() -> None:
    found = step(replace(VIEW, moves=(), plan_age_s=None))
    assert (found.replan, found.state) == (True, None)


def test_what_another_request_took_away_is_not_moved() -> None:
    (change,) = step(replace(VIEW, moves=(replace(WAITS, guest=GuestView("n3", "active")),))).changes
    assert (change.state, change.message) == (MoveState.GONE, "a went to n3 by another request")


def test_what_was_left_where_it_is_stays_there() -> None:
    left = replace(WAITS, state=MoveState.LEFT, way=Way.LEAVE, destination=None)
    found = step(replace(VIEW, moves=(left,), empties="n1"))
    assert (found.changes, found.state) == ((), DrainState.COMPLETED)


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


def test_nothing_begins_and_nothing_is_planned_while_the_source_is_silent() -> None:
    stuck = replace(WAITS, uuid="u2", name="b", state=MoveState.STUCK, way=None, destination=None)
    view = replace(VIEW, hindered=SILENT, moves=(WAITS, stuck), plan_age_s=AGAIN_S * 2)
    note = "host n1 is silent: bring it back, or evacuate it"
    assert step(view) == Step(confirm=[], state=DrainState.BLOCKED, note=note)
    assert step(replace(view, state=DrainState.BLOCKED, note=note)) == Step(confirm=[])
    heard = replace(view, state=DrainState.BLOCKED, note=note, hindered={}, plan_age_s=1.0)
    assert step(heard).state is DrainState.RUNNING


def test_of_a_restore_only_what_is_on_a_silent_host_waits() -> None:
    other = replace(WAITS, uuid="u2", name="b", source="n3", guest=GuestView("n3", "active"))
    found = step(replace(VIEW, hindered=SILENT, moves=(WAITS, other)))
    assert (found.begin, found.state) == ([other], None)


def test_a_move_that_ends_while_its_source_is_silent_counts_no_attempt() -> None:
    failed = replace(MOVES, attempts=ATTEMPTS, operation=OperationView(7, active=False, error="n1 is silent"))
    (change,) = step(replace(VIEW, moves=(failed,), hindered=SILENT)).changes
    assert (change.state, change.attempts) == (MoveState.WAITING, ATTEMPTS - 1)


def test_what_is_back_on_the_host_is_moved_again() -> None:
    done, gone = replace(WAITS, state=MoveState.DONE), replace(WAITS, state=MoveState.GONE, way=None, destination=None)
    for move in (done, gone):
        (change,) = step(replace(VIEW, moves=(move,), empties="n1")).changes
        assert (change.state, change.event, change.message) == (
            MoveState.WAITING,
            "back",
            "a is on n1 again, and active",
        )
        assert not step(replace(VIEW, moves=(move,))).changes
    assert step(replace(VIEW, moves=(replace(gone, state=MoveState.WAITING),), empties="n1")).replan


def test_what_a_drain_stopped_and_somebody_started_is_stopped_again() -> None:
    stopped = replace(WAITS, state=MoveState.DONE, way=Way.STOP, destination=None, guest=GuestView("n1", "stopped"))
    assert step(replace(VIEW, moves=(stopped,), empties="n1")).state is DrainState.COMPLETED
    (change,) = step(replace(VIEW, moves=(replace(stopped, guest=HERE),), empties="n1")).changes
    assert change.state is MoveState.WAITING


def test_a_drain_is_not_over_while_something_is_on_its_way_to_the_host() -> None:
    found = step(replace(VIEW, moves=(), arriving=("new",)))
    assert (found.state, found.note) == (DrainState.RUNNING, "waits for what is on its way to the host: new")


def test_a_member_whose_other_one_is_stopped_blocks_the_drain_and_says_so() -> None:
    member = replace(WAITS, group="g", way=Way.STOP, destination=None)
    stopped = replace(member, uuid="u2", name="b", state=MoveState.DONE, guest=GuestView("n1", "stopped"))
    found = step(replace(VIEW, moves=(member, stopped)))
    note = "waits until the member of its server group that a drain stopped runs again: a"
    assert (found.begin, found.state, found.note) == ([], DrainState.BLOCKED, note)


def test_what_a_person_aborts_is_not_begun_again() -> None:
    aborted = replace(MOVES, operation=OperationView(7, active=False, cancelled=True, error="aborted"))
    (change,) = step(replace(VIEW, moves=(aborted,))).changes
    message = "a person aborted it: aborted; `migrator drain-resume` tries it again"
    assert (change.state, change.error) == (MoveState.FAILED, message)
    assert [c.state for c in step(replace(VIEW, moves=(aborted,), may_leave=True)).changes] == [MoveState.LEFT]


def test_an_evacuation_waits_for_no_member_of_its_group_and_ends_when_its_host_is_back() -> None:
    down = replace(WAITS, way=Way.EVACUATE, group="g")
    view = replace(VIEW, moves=(down, replace(down, uuid="u2", name="b")), budgets=Budgets())
    assert len(step(view).begin) == 2
    back = step(replace(view, returned="host n1 is back"))
    assert (back.state, back.note) == (DrainState.INCOMPLETE, "host n1 is back; 2 were not evacuated")
    under_way = replace(view, moves=(replace(MOVES, way=Way.EVACUATE),), returned="host n1 is back")
    assert step(under_way).state is None
