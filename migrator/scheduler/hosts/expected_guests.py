"""Whether a guest may run on a host because of an operation that is under way: then it is no second one.

Pure. Owns only that. Where an operation's guest really is, ``decision/verdict`` finds out from facts.
"""

from migrator.db.partial_rows import UnderWayRow
from migrator.operations import Operation, table_of


def explains(operation: UnderWayRow, host: str) -> bool:
    """``operation`` is a row of ``host_domains.under_way``. What only cleans up, and leaves a running guest alone, does
    not say why there is one; an evacuation stops it."""
    if host not in (operation.source, operation.destination):
        return False
    table = table_of(operation.kind)
    if table is not None and table.stops_strays:
        return True
    return operation.locks_instance and _has_its_turn(operation, table, host)


def _has_its_turn(operation: UnderWayRow, table: Operation | None, host: str) -> bool:
    """A guest that is stopped before it is moved runs at its source until that phase and at its destination from the
    phase that starts it, on the way back, too. Any other may run at both ends: a transfer decides."""
    if table is None or not (table.stopped_by and table.started_by):
        return True
    try:
        at = table.index(operation.phase)
    except LookupError:
        return True  # of another release, whose own servers tell
    stop, start = table.index(table.stopped_by), table.index(table.started_by)
    return (host == operation.source and at <= stop) or (host == operation.destination and at >= start)
