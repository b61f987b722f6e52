"""Begins drains and restores, and what may be asked of one: pause, resume, cancel. Never advances one."""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.db import drains, hosts, server_heartbeat
from migrator.db.drain_rows import DrainRow
from migrator.db.engine import Connection, Database
from migrator.db.rows import HostRow
from migrator.errors import BadRequest, Conflict
from migrator.scheduler.fleet import views
from migrator.scheduler.fleet.plan.model import MOVES, FleetPlan, Way
from migrator.scheduler.fleet.plan.vocabulary import DRAIN, EVACUATION, RESTORE, DrainRequest, DrainState
from migrator.scheduler.fleet.records import create
from migrator.scheduler.fleet.restore import begin_restore
from migrator.scheduler.fleet.runner import give_back, plan_of_host, reason_of
from migrator.scheduler.requests import lost_host
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state import host_views
from migrator.settings import ServerSettings

_EARLIER = 1000  # drains of a host that are looked at
_ENDS = frozenset({Way.STOP, Way.LEAVE})  # ways that always can be gone: none after them is ever tried
_ASKABLE: Mapping[str, tuple[frozenset[DrainState], DrainState]] = {
    "pause": (frozenset({DrainState.RUNNING, DrainState.BLOCKED}), DrainState.PAUSED),
    "resume": (frozenset({DrainState.PAUSED, DrainState.BLOCKED}), DrainState.RUNNING),
    "cancel": (frozenset({DrainState.RUNNING, DrainState.BLOCKED, DrainState.PAUSED}), DrainState.CANCELLING),
}


def begin(
    db: Database, caller: Caller, host: str, request: DrainRequest, deadline_s: float | None, settings: ServerSettings
) -> DrainRow:
    """From now on the host takes nothing in. Raises HostNotFound, BadRequest (contradicting options), Conflict (being
    drained, down, no other host)."""
    _check_options(host, request)
    with db.write() as connection:
        hosts.lock(connection, [host])
        row = _checked(connection, host, request, settings)
        made = create(connection, caller, DRAIN, host, request, _before(connection, row), deadline_s)
        if request.disable:
            hosts.change(connection, host, {"disabled": True, "disabled_reason": reason_of(made)})
        drains.say(connection, made.id, "begun", f"asked by {caller.user_id}: {request.reason or 'no reason given'}")
        return made


def begin_evacuation(
    db: Database, caller: Caller, host: str, request: DrainRequest, deadline_s: float | None, settings: ServerSettings
) -> DrainRow:
    """The instances of a lost host begin again elsewhere. Raises HostNotFound, BadRequest (the host is up,
    contradicting options), Conflict (no evidence that it runs nothing, being drained or evacuated, no other host)."""
    _check_options(host, request)
    with db.write() as connection:
        hosts.lock(connection, [host])
        _checked_lost(connection, host, request, settings)
        begun = {"clock": server_heartbeat.clock(connection)}  # which loss of the host it answers
        made = create(connection, caller, EVACUATION, host, request, begun, deadline_s)
        drains.say(connection, made.id, "begun", f"asked by {caller.user_id}: {request.reason or 'no reason given'}")
        return made


def forecast(
    db: Database, host: str, request: DrainRequest, deadline_s: float | None, settings: ServerSettings
) -> FleetPlan:
    """The plan that a drain, or an evacuation, would begin with. Changes nothing. Raises as ``begin``, or
    ``begin_evacuation``."""
    _check_options(host, request)
    check = _checked_lost if Way.EVACUATE in request.strategies else _checked
    with db.read() as connection:
        check(connection, host, request, settings)
        return plan_of_host(connection, host, request, deadline_s, settings)


def restore(db: Database, caller: Caller, host: str, settings: ServerSettings) -> DrainRow:
    """Let the host take instances in again, and bring back what drains took away that were not restored yet. Raises
    HostNotFound, Conflict (down, being drained, never drained, restored already)."""
    with db.write() as connection:
        hosts.lock(connection, [host])
        row = hosts.get(connection, host)
        if not host_views.host_view(row, settings.service_down_time).up:
            raise Conflict(f"Host {host} is down: nothing can come back", advice="start its agent, and ask again")
        if active := drains.active_of(connection, [host]):
            message = f"Host {host} has drain {active[0].uuid} ({active[0].kind}) under way"
            raise Conflict(message, advice=f"wait for it, or `migrator drain-cancel {active[0].uuid}`")
        left = _unrestored(connection, host)
        for drain in left:
            give_back(connection, drain)
        return begin_restore(connection, left, caller)


def ask(db: Database, caller: Caller, ident: str, verb: str, *, undo: bool = False) -> DrainRow:
    """``verb``: pause, resume or cancel. Raises DrainNotFound, Conflict (it is over, or was asked to already)."""
    allowed, wanted = _ASKABLE[verb]
    with db.write() as connection:
        drain = drains.get(connection, ident, lock=True)  # else a sweep changes it in between
        if DrainState(drain.state) not in allowed:
            raise Conflict(f"Drain {drain.uuid} cannot {verb}: it is {drain.state}")
        if undo and drain.kind != DRAIN:
            message = f"{drain.uuid} is no drain ({drain.kind}): only what a drain took away can be brought back"
            raise Conflict(message, advice="cancel it without undo; `migrator drain HOST` empties a host")
        drains.change(connection, drain.id, drain.generation, {"state": wanted.value, "undo": undo, "note": None})
        if verb == "resume":
            drains.try_again(connection, drain.id)
        message = f"{verb} asked by {caller.user_id}" + (", and what went shall come back" if undo else "")
        drains.say(connection, drain.id, verb, message)
        return drains.get(connection, ident)


def _before(connection: Connection, row: HostRow) -> Mapping[str, Any]:
    """What the host was like before it was drained; where an earlier drain still keeps it closed, before that one."""
    closed_by = [one for one in drains.listed(connection, row.name, False, _EARLIER) if one.kind == DRAIN]
    for drain in closed_by if row.disabled else ():
        if row.disabled_reason == reason_of(drain):
            return drain.before
    return {"disabled": row.disabled, "disabled_reason": row.disabled_reason}


def _unrestored(connection: Connection, host: str) -> Sequence[DrainRow]:
    """Drains of the host that no restore has brought back, the newest first. Raises Conflict where there is none."""
    over = drains.listed(connection, host, False, _EARLIER)
    drained = [row for row in over if row.kind == DRAIN]
    if not drained:
        raise Conflict(f"Host {host} was never drained: there is nothing to bring back")
    ended = [row for row in over if row.kind == RESTORE and row.state == DrainState.COMPLETED]
    restored = {uuid for row in ended for uuid in row.before.get("restores", ())}
    left = [row for row in drained if row.uuid not in restored]
    if not left:
        message = f"Drain {drained[0].uuid}, the newest of host {host}, was restored already"
        raise Conflict(message, advice=f"see `migrator drain-list --all --host {host}`")
    return left


def _check_options(host: str, request: DrainRequest) -> None:
    """Raises BadRequest for options that contradict each other."""
    ways = list(request.strategies)
    if len(set(ways)) < len(ways):
        raise BadRequest(f"strategies names a way twice: {', '.join(ways)}")
    never = next((ways[place + 1] for place, way in enumerate(ways[:-1]) if way in _ENDS), None)
    if never is not None:
        message = f"strategies: {never} is never tried, for every instance can be stopped or left; name those last"
        raise BadRequest(message)
    if request.to and not MOVES & set(ways):
        raise BadRequest(f"to names destinations, but {' and '.join(ways)} moves nothing; leave one of them out")
    if host in request.to:
        raise BadRequest(f"to names {host}, the host that is to be emptied")


def _checked(connection: Connection, host: str, request: DrainRequest, settings: ServerSettings) -> HostRow:
    """The host's row, if it may be drained now."""
    row = hosts.get(connection, host)
    _refuse_active(connection, host, "see `migrator drain-show {}`")
    if not host_views.host_view(row, settings.service_down_time).up:
        raise Conflict(
            f"Host {host} is down: nothing can be moved away from it",
            advice=f"evacuate its instances: `migrator host-evacuate {host}`; --dry-run shows what becomes of them",
        )
    _check_destinations(connection, request)
    if not _ENDS & set(request.strategies):
        _refuse_nowhere(connection, host, request, settings, "enable one, or add `stop`")
    return row


def _checked_lost(connection: Connection, host: str, request: DrainRequest, settings: ServerSettings) -> None:
    """Raises as ``begin_evacuation``."""
    row = hosts.get(connection, host)
    _refuse_active(connection, host, "end it first: `migrator drain-cancel {}`")
    lost_host.check(row, settings, f"Cannot evacuate host {host}:")
    _check_destinations(connection, request)
    _refuse_nowhere(connection, host, request, settings, "enable one")


def _refuse_active(connection: Connection, host: str, advice: str) -> None:
    for active in drains.active_of(connection, [host]):
        message = f"Host {host} has drain {active.uuid} ({active.kind}) under way"
        raise Conflict(message, advice=advice.format(active.uuid))


def _refuse_nowhere(
    connection: Connection, host: str, request: DrainRequest, settings: ServerSettings, advice: str
) -> None:
    """A host whose description cannot be read takes nothing in, either."""
    others = sorted(views.usable(drains.hosts_heard(connection), request, settings) - {host})
    unreadable = [row.name for row in hosts.by_names(connection, others) if host_views.report_of(row)[1]]
    if len(unreadable) == len(others):
        which = f"none of {', '.join(request.to)}" if request.to else "no other host"
        why = f" ({', '.join(unreadable[:20])}: its description cannot be read)" if unreadable else ""
        advice = f"restart the agent of {unreadable[0]}, which describes it anew" if unreadable else advice
        raise Conflict(f"{which} takes instances in{why}: nothing could leave {host}", advice=advice)


def _check_destinations(connection: Connection, request: DrainRequest) -> None:
    known = {row.name for row in hosts.by_names(connection, request.to)}
    if unknown := [name for name in request.to if name not in known]:
        raise BadRequest(f"to names {', '.join(unknown)}: no host of that name is registered")
    if drained := [row.host for row in drains.active_of(connection, request.to) if row.kind == DRAIN]:
        raise Conflict(f"{', '.join(drained)} is being drained, and takes nothing in; name other hosts")
