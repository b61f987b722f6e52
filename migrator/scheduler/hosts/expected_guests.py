"""Whether a guest may run on a host because of an operation that is under way: then it is no second one.

Pure. Owns only that. Where an operation's guest really is, ``decision/verdict`` finds out from facts.
"""

from migrator.db.partial_rows import UnderWayRow
from migrator.operations import OPERATIONS, Actor, Kind, Operation
from migrator.protocol import Ensure


def explains(operation: UnderWayRow, host: str) -> bool:
    """``operation`` is a row of ``host_domains.under_way``. What only cleans up, and leaves a running guest alone, does
    not say why there is one; an evacuation stops it."""
    if host not in (operation.source, operation.destination):
        return False
    if operation.kind == Kind.EVACUATION:
        return True
    return bool(operation.holds) and _has_its_turn(operation, host)


def _has_its_turn(operation: UnderWayRow, host: str) -> bool:
    """A guest that is stopped before it is moved runs at its source until that phase and at its destination from the
    phase that starts it, on the way back, too. Any other may run at both ends: a transfer decides."""
    try:
        table = OPERATIONS[Kind(operation.kind)]
        at = table.index(operation.phase)
    except (LookupError, ValueError):
        return True  # of another release, whose own servers tell
    stop, start = _phase(table, Actor.SOURCE, Ensure.SHUT_OFF), _phase(table, Actor.DESTINATION, Ensure.POWERED)
    if stop is None or start is None:
        return True
    return (host == operation.source and at <= stop) or (host == operation.destination and at >= start)


def _phase(table: Operation, actor: Actor, ensure: Ensure) -> int | None:
    found = (index for index, phase in enumerate(table.phases) if phase.actor is actor and phase.do is ensure)
    return next(found, None)
