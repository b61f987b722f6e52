"""An administrator's word for an instance's state: "error", or "active", which is what its own host lists.

Changes the record's state only, and neither its host nor its claims; starts, stops, moves and deletes nothing. Not
``reconciliation``, which takes a word for where an instance is.
"""

import math
from collections.abc import Mapping
from enum import StrEnum

from migrator.db import events, instances, operation_list, operations
from migrator.db.engine import Connection, Database
from migrator.db.host_domains import LIVE, QUIET_S
from migrator.db.rows import CopyRow, InstanceRow
from migrator.errors import ConcurrentUpdate, Conflict, InstanceBusy
from migrator.event_types import EventType
from migrator.protocol import DomainState
from migrator.scheduler.hosts.reconciliation import both_sides
from migrator.scheduler.hosts.reconciliation_rules import Sides
from migrator.scheduler.requests.requests import Caller, until_unchanged
from migrator.scheduler.state.effects import POWER
from migrator.settings import ServerSettings

_STEP_S = 1.0  # what is later than now by more was written before the database's clock was set back
_COMPARE = "compare both sides with `migrator reconcile {uuid}`, and say which copy is right"
_SOON = "ask again in a few seconds"


class Reset(StrEnum):
    ACTIVE = "active"
    ERROR = "error"


def reset(db: Database, caller: Caller, uuid: str, wanted: Reset, settings: ServerSettings) -> None:
    """Raises InstanceNotFound, InstanceBusy while an operation holds the instance, Conflict with what is in the way."""

    def ask(connection: Connection) -> None:
        sides = both_sides(connection, uuid, settings, lock=True)
        row = _held(connection, sides)
        refuse_second(sides, row)
        changes: dict[str, object] = {"vm_state": "error"}
        if wanted is Reset.ACTIVE:
            changes = {**listed(sides, row, operation_list.last_end(connection, uuid)), "fault": None}
        instances.change(connection, uuid, {**changes, "task_state": None})
        events.add(
            connection,
            EventType.STATE_RESET,
            f"{caller.user_id} reset the state to {wanted}: it was {row.vm_state}, and is {changes['vm_state']}",
            instance_uuid=uuid,
            host=row.host,
            details={"request_id": caller.request_id, "user_id": caller.user_id, "project_id": caller.project_id},
        )

    until_unchanged(db, ask)


def _held(connection: Connection, sides: Sides) -> InstanceRow:
    """The record, locked: an operation that begins at this moment sees that it changed. Raises InstanceBusy, and
    ConcurrentUpdate where it is no longer as ``sides`` has it."""
    row = instances.lock(connection, sides.uuid)
    active = operations.active_of_instance(connection, sides.uuid)
    if active is not None:
        raise InstanceBusy(
            f"{_cannot(sides)} while a {active.kind} of it is under way ({active.phase})",
            advice="wait for its end, or cancel it; after a resize or a migration confirm or revert it",
        )
    before = sides.record
    if before is None or (row.host, row.vm_state, row.updated_at) != (before.host, before.vm_state, before.updated_at):
        raise ConcurrentUpdate(f"Instance {sides.uuid} changed while the request was looked at")
    return row


# --- what is refused: pure ----------------------------------------------------------------------------------------


def refuse_second(sides: Sides, row: InstanceRow) -> None:
    """Raises Conflict where another host said that it has a live copy. A record that changes now would count as newer
    than that word, and what boots the instance next would not heed it."""
    for copy in sides.copies:
        view = sides.views.get(copy.host)
        if copy.host == row.host or not copy.believed or copy.state not in LIVE or (view is not None and view.fenced):
            continue
        raise Conflict(
            f"{_cannot(sides)}: {copy.host} said {copy.age_s:.0f} s ago that it has a copy, too ({copy.state})",
            advice=_COMPARE.replace("{uuid}", sides.uuid),
            without_hosts=f"{_cannot(sides)}: another host has a copy, too",
        )


def listed(sides: Sides, row: InstanceRow, ended: float | None) -> Mapping[str, object]:
    """The vm_state and power_state that the instance's own host lists. ``ended``: when the last operation on it did.
    Raises Conflict where that is no proof of how it is now."""
    if row.host is None or row.launched_at is None:
        raise Conflict(f"{_cannot(sides)} to active: its build never ended", advice="delete it, and create it anew")
    _refuse_untold(sides, row.host)
    if sides.disputed:
        raise _refused(sides, "an alarm is open about it", sides.disputed, _COMPARE)
    copy = sides.copy_on(row.host)
    if copy is None or not copy.believed:
        _refuse_unlisted(sides, row.host, ended)
        raise _refused(sides, "its host has no copy of it", f"host {row.host} reports none", _COMPARE)
    if row.host in sides.newer:
        found = f"the copy on {row.host} was changed by an operation that is not in the record"
        raise _refused(sides, "its copy is newer than the record", found, _COMPARE)
    if ended is not None and copy.seen_at < ended < copy.seen_at + copy.age_s + _STEP_S:
        said = f"{row.host} has not listed its guests since the last operation on it ended"
        raise _refused(sides, "its host has not said how it is", said, _SOON)
    return _state(sides, copy)


def _refuse_unlisted(sides: Sides, host: str, ended: float | None) -> None:
    """A list that came just after the last operation may have been made before its end."""
    view = sides.views[host]
    ended_s = view.now - ended if ended is not None else math.inf
    if -_STEP_S < ended_s < max(QUIET_S, view.listed_s):
        said = f"{host} may have listed its guests last before the last operation on it ended, {ended_s:.0f} s ago"
        raise _refused(sides, "its host may not have listed it yet", said, _SOON)


def _refuse_untold(sides: Sides, host: str) -> None:
    if not sides.is_up(host):
        view = sides.views.get(host)
        silent = f"{host} has been silent for {view.silent_s:.0f} s" if view is not None else f"{host} is not known"
        raise _refused(sides, "its host is silent", silent, "bring the host's agent back first")
    if not sides.told(host):
        said = f"{host} has not listed its guests since the servers are back"
        raise _refused(sides, "its host has not said how it is", said, _SOON)


def _state(sides: Sides, copy: CopyRow) -> Mapping[str, object]:
    found = {state.value: POWER[state] for state in DomainState if state in POWER}.get(copy.state)
    if found is None:
        message = f"the copy on {copy.host} is {copy.state}"
        raise _refused(sides, "its copy is neither running nor at rest", message, _SOON)
    return found


def _refused(sides: Sides, what: str, found: str, advice: str) -> Conflict:
    message = f"{_cannot(sides)} to active: {what}"
    return Conflict(f"{message} ({found})", advice=advice.replace("{uuid}", sides.uuid), without_hosts=message)


def _cannot(sides: Sides) -> str:
    return f"Cannot 'os-resetState' instance {sides.uuid}"
