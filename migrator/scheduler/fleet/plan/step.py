"""What a drain does next: a pure function of what is known of its moves, their operations and their instances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from migrator.scheduler.fleet.plan.model import MOVES, Budgets, Way
from migrator.scheduler.fleet.plan.vocabulary import ATTEMPTS, SETTLED, DrainState, MoveState

LONGEST_PAUSE_S = 3600.0
AGAIN_S = 15.0  # after which a plan that has no place for an instance is made again


@dataclass(frozen=True, slots=True)
class OperationView:
    """``verifying``: it waits for a confirmation; ``error``: why it was undone."""

    id: int
    active: bool
    verifying: bool = False
    cancelled: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class GuestView:
    host: str | None
    vm_state: str
    busy: bool = False


@dataclass(frozen=True, slots=True)
class MoveView:
    """``guest`` None: the instance is deleted. ``pauses``: after an attempt that failed; it begins later."""

    uuid: str
    name: str
    source: str
    state: MoveState
    way: Way | None = None
    destination: str | None = None
    group: str | None = None
    attempts: int = 0
    operation: OperationView | None = None
    guest: GuestView | None = None
    pauses: bool = False


@dataclass(frozen=True, slots=True)
class Occupied:
    """A move of any drain that is under way, or (not ``moving``) has stopped a member of a group for good."""

    uuid: str
    source: str
    destination: str | None
    group: str | None
    moving: bool = True


@dataclass(frozen=True, slots=True)
class DrainView:
    """``late``: the deadline has passed; ``unlisted``: there are instances on the host that no move is about;
    ``usable``: hosts that take instances in; ``undo``: a cancelled one's moves go back;
    ``plan_age_s`` None: there is no plan yet; ``others``: of other drains. ``hindered``: hosts that instances leave, or
    are started on -> why nothing can begin there now; ``returned``: why an evacuation is over, for its host is back;
    ``empties``: the host that shall be empty, None: what comes to it may stay;
    ``arriving``: names of instances that are on their way to that host; ``note``: why it waits, as written down;
    ``attempts``: of one move, before a person has to look; ``backoff_s``: after the first that fails."""

    state: DrainState
    moves: Sequence[MoveView]
    budgets: Budgets
    usable: frozenset[str]
    others: Sequence[Occupied] = ()
    may_leave: bool = False
    late: bool = False
    unlisted: bool = False
    undo: bool = False
    plan_age_s: float | None = None
    hindered: Mapping[str, str] = field(default_factory=dict)
    returned: str = ""
    empties: str | None = None
    arriving: Sequence[str] = ()
    note: str = ""
    attempts: int = ATTEMPTS
    backoff_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MoveChange:
    """``attempts`` None: as many as before. ``pause_s``: until it may begin again."""

    uuid: str
    state: MoveState
    event: str
    message: str
    error: str | None = None
    attempts: int | None = None
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """``confirm`` and ``cancel``: moves whose operations are asked to; ``begin``: moves that begin, in this order."""

    changes: Sequence[MoveChange] = ()
    confirm: Sequence[MoveView] = ()
    cancel: Sequence[MoveView] = ()
    begin: Sequence[MoveView] = ()
    replan: bool = False
    state: DrainState | None = None
    note: str | None = None


def step(view: DrainView) -> Step:
    changes = [change for move in view.moves if (change := _judged(move, view)) is not None]
    if changes:  # written down first, and then looked at again
        return Step(changes)
    moving = [move for move in view.moves if move.state is MoveState.MOVING]
    confirm = [move for move in moving if move.operation is not None and move.operation.verifying]
    if view.state is DrainState.CANCELLING:
        return _cancelling(moving, [] if view.undo else confirm)
    if not moving and (over := _over(view)) is not None:
        return Step(state=over[0], note=over[1])
    if view.state is DrainState.PAUSED or view.late:
        return Step(confirm=confirm)
    if _all_hindered(view):
        state, note = _changed(view, DrainState.BLOCKED, _describe_hindered(view.hindered, view.hindered))
        return Step(confirm=confirm, state=state, note=note)
    if _needs_plan(view):
        return Step(confirm=confirm, replan=True)
    begin = _beginning(view)
    state, note = _running(view, moving, begin)
    return Step(confirm=confirm, begin=begin, state=state, note=note)


def occupied(moves: Iterable[MoveView]) -> list[Occupied]:
    """Of one drain."""
    found = []
    for move in moves:
        stopped = move.state is MoveState.DONE and move.way is Way.STOP and move.group is not None
        if stopped or move.state is MoveState.MOVING:
            found.append(Occupied(move.uuid, move.source, move.destination, move.group, not stopped))
    return found


def admits(move: MoveView, others: Sequence[Occupied], budgets: Budgets) -> bool:
    """Whether the move may begin beside the others: under the budgets, and alone of its server group."""
    moving = [other for other in others if other.moving and other.uuid != move.uuid]
    together = move.way is not Way.EVACUATE  # which is down already, and gains nothing by waiting
    if together and move.group is not None and any(o.group == move.group and o.uuid != move.uuid for o in others):
        return False
    counted = (
        (budgets.fleet, len(moving)),
        (budgets.per_source, len([o for o in moving if o.source == move.source])),
        (budgets.per_destination, len([o for o in moving if o.destination == move.destination is not None])),
    )
    return all(not limit or number < limit for limit, number in counted)


def pause(attempts: int, backoff_s: float) -> float:
    """s until the next attempt, after so many that failed."""
    return min(backoff_s * 2.0 ** (attempts - 1), LONGEST_PAUSE_S)


def _judged(move: MoveView, view: DrainView) -> MoveChange | None:
    """What became of it since it was looked at last; None: nothing."""
    if move.state in SETTLED:
        return _reopened(move, view)
    guest = move.guest
    if guest is None:
        return MoveChange(move.uuid, MoveState.GONE, "gone", f"{move.name} was deleted")
    if move.state is MoveState.MOVING:
        return None if move.operation is not None and move.operation.active else _ended(move, guest, view)
    if guest.host != move.source:
        return MoveChange(move.uuid, MoveState.GONE, "gone", f"{move.name} went to {guest.host} by another request")
    if move.state is MoveState.WAITING and _reached(move, guest):
        return MoveChange(move.uuid, MoveState.DONE, "done", f"{move.name} is {guest.vm_state} already")
    return None


def _reopened(move: MoveView, view: DrainView) -> MoveChange | None:
    """What was settled and is not any more: it is back on the host, or runs there again."""
    guest = move.guest
    if guest is None or view.empties is None or guest.host != view.empties or move.state is MoveState.LEFT:
        return None
    if move.state is MoveState.DONE and move.way is Way.STOP and guest.vm_state != "active":
        return None
    message = f"{move.name} is on {guest.host} again, and {guest.vm_state}"
    return MoveChange(move.uuid, MoveState.WAITING, "back", message, attempts=0)


def _reached(move: MoveView, guest: GuestView) -> bool:
    if move.way is Way.STOP:
        return guest.vm_state in ("stopped", "suspended")
    if move.way is Way.START:
        return guest.vm_state == "active"
    return guest.host != move.source


def _ended(move: MoveView, guest: GuestView, view: DrainView) -> MoveChange:
    if _reached(move, guest):
        where = f"runs on {guest.host}" if guest.vm_state == "active" else f"is {guest.vm_state} on {guest.host}"
        return MoveChange(move.uuid, MoveState.DONE, "done", f"{move.name} {where}")
    error = (move.operation.error if move.operation is not None else "") or "it was undone"
    message = f"{move.name} ({move.way}, attempt {move.attempts} of {view.attempts}): {error}"
    if move.source in view.hindered:  # which says nothing of the move
        return MoveChange(move.uuid, MoveState.WAITING, "failed", message, error, move.attempts - 1)
    if move.operation is not None and move.operation.cancelled and view.state is not DrainState.CANCELLING:
        error = f"a person aborted it: {error}; `migrator drain-resume` tries it again"
        message = f"{move.name} ({move.way}): {error}"
    elif move.attempts < view.attempts:
        pause_s = pause(move.attempts, view.backoff_s)
        return MoveChange(move.uuid, MoveState.WAITING, "failed", message, error, pause_s=pause_s)
    last = MoveState.LEFT if view.may_leave else MoveState.FAILED
    return MoveChange(move.uuid, last, "failed", message, error)


def _cancelling(moving: Sequence[MoveView], confirm: Sequence[MoveView]) -> Step:
    """What is on the other host already and only waits for a confirmation gets it, unless all is to go back."""
    if not moving:
        return Step(state=DrainState.CANCELLED, note="cancelled")
    ask = [m for m in moving if m.operation is not None and not m.operation.cancelled and m not in confirm]
    return Step(confirm=confirm, cancel=ask)


def _over(view: DrainView) -> tuple[DrainState, str] | None:
    left = [move for move in view.moves if move.state not in SETTLED]
    if not left and not view.unlisted and not view.arriving and view.plan_age_s is not None:
        stay = len([move for move in view.moves if move.state is MoveState.LEFT])
        return DrainState.COMPLETED, f"{stay} stay where they are" if stay else "nothing is left to do"
    if view.returned:
        return DrainState.INCOMPLETE, f"{view.returned}; {len(left)} were not evacuated"
    if view.late:
        return DrainState.INCOMPLETE, f"the deadline passed; {len(left)} are left"
    return None


def _all_hindered(view: DrainView) -> bool:
    """Whether nothing can begin, for every host that has something to go is hindered."""
    sources = {move.source for move in view.moves if move.state not in SETTLED}
    return bool(view.hindered) and sources <= view.hindered.keys()


def _describe_hindered(hindered: Mapping[str, str], names: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(hindered[name] for name in sorted(names)))  # the same of many is said once


def _needs_plan(view: DrainView) -> bool:
    if view.plan_age_s is None or view.unlisted:
        return True
    waiting = [move for move in view.moves if move.state is MoveState.WAITING]
    if any(move.destination not in view.usable for move in waiting if move.way is None or move.way in MOVES):
        return True
    return view.plan_age_s >= AGAIN_S and any(move.state is MoveState.STUCK for move in view.moves)


def _beginning(view: DrainView) -> list[MoveView]:
    taken, begin = [*view.others, *occupied(view.moves)], []
    for move in view.moves:
        ready = move.state is MoveState.WAITING and move.guest is not None and not move.guest.busy
        if ready and not move.pauses and move.source not in view.hindered and admits(move, taken, view.budgets):
            begin.append(move)
            taken += occupied([replace(move, state=MoveState.MOVING)])
    return begin


def _running(
    view: DrainView, moving: Sequence[MoveView], begin: Sequence[MoveView]
) -> tuple[DrainState | None, str | None]:
    """Blocked while nothing moves and nothing can; else running. None: as it was."""
    kept = {o.group for o in (*view.others, *occupied(view.moves)) if not o.moving}
    waits = [move for move in view.moves if move.state is MoveState.WAITING]
    held = [m for m in waits if m.group is not None and m.group in kept and m.way is not Way.EVACUATE]
    mute = [move for move in waits if move.source in view.hindered]
    stuck = [move for move in view.moves if move.state in (MoveState.STUCK, MoveState.FAILED)]
    hindered = (
        ("cannot go", stuck),
        ("waits until the member of its server group that a drain stopped runs again", held),
    )
    told = [f"{message}: {', '.join(move.name for move in found[:20])}" for message, found in hindered if found]
    told += [_describe_hindered(view.hindered, {move.source for move in mute})] if mute else []
    if told and not moving and not begin and len({m.uuid for m in (*held, *mute)}) == len(waits):
        return _changed(view, DrainState.BLOCKED, "; ".join(told))
    coming = f"waits for what is on its way to the host: {', '.join(view.arriving[:20])}" if view.arriving else ""
    return _changed(view, DrainState.RUNNING, coming)


def _changed(view: DrainView, state: DrainState, note: str) -> tuple[DrainState | None, str | None]:
    return (None, None) if (state, note) == (view.state, view.note) else (state, note)
