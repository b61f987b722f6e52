"""When accepted moves of a rebalance may begin: outside quiet hours, under the day's limit, and to a host that is no
busier than was planned. Changes nothing."""

from collections.abc import Sequence

from migrator.db import hosts, rebalances, use_samples
from migrator.db.clock import now
from migrator.db.engine import Connection
from migrator.errors import Conflict
from migrator.scheduler.fleet.balance.quiet_hours import quiet_until
from migrator.scheduler.fleet.plan.model import FleetPlan, Group, Guest, PlannedMove, Room, Way
from migrator.scheduler.fleet.plan.step import MoveView
from migrator.scheduler.fleet.plan.vocabulary import MoveState
from migrator.settings import ServerSettings

_OPEN = frozenset({MoveState.WAITING, MoveState.STUCK})


def rest(connection: Connection, settings: ServerSettings) -> str:
    """Why no move of a rebalance begins now; "": one may."""
    if until := quiet_until(settings.rebalance_quiet_hours, now(connection)):
        return f"quiet hours until {until} UTC (rebalance_quiet_hours)"
    most = settings.rebalance_at_most_per_day
    if rebalances.begun_in_a_day(connection) >= most:
        return f"{most} moves began within 24 hours, and no more may (rebalance_at_most_per_day)"
    return ""


def check(connection: Connection, drain_id: int, move: MoveView, settings: ServerSettings) -> None:
    """By the newest survey of the destination. Raises Conflict where the world is another one than that of the plan."""
    planned, name = rebalances.move_of_drain(connection, drain_id, move.uuid), move.destination or ""
    told = use_samples.of_hosts_now(connection, [name]).get(name)
    if planned is None or told is None:
        raise Conflict(f"nothing is measured of {name} any more", advice="ask for a rebalance again")
    row, body = hosts.get(connection, name), told[0]
    promised = planned.proposal["destination"]["after"]
    for part, used, size in (("cpus", body["cpus"], row.vcpus), ("memory", body["memory_mb"], row.memory_mb)):
        before = used / size
        if before + planned.proposal["adds"][part] > promised[part] + settings.rebalance_gap:
            what = "processors" if part == "cpus" else "memory"
            message = f"{name} is busier than was planned, at {before:.0%} of its {what}"
            raise Conflict(message, advice="ask for a rebalance again")


def kept(moves: Sequence[MoveView], usable: frozenset[str]) -> FleetPlan:
    """What has not begun goes where it was proposed to, or stays: another host was not what was accepted."""
    return FleetPlan(
        [_kept(move, usable) for move in moves if move.state in _OPEN and move.guest is not None], 0.0, 0.0
    )


def _kept(move: MoveView, usable: frozenset[str]) -> PlannedMove:
    group = Group(move.group, "") if move.group is not None else None
    guest = Guest(move.uuid, move.name, move.source, Room(0, 0, 0), (), group)
    if move.destination is not None and move.destination in usable:
        return PlannedMove(guest, Way.LIVE, move.destination, "as it was accepted")
    why = "its destination takes nothing in" if move.destination is not None else "it could not go as it was accepted"
    return PlannedMove(guest, Way.LEAVE, None, why)
