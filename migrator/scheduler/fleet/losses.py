"""What would become of instances if their hosts were lost: hosts that are named, or any. Changes nothing.

Owns which losses are asked for, and that their number has a bound. Where each instance would go is the planner's, by
what ``evacuations`` reads: the same as for a host that is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from migrator.db import drains, instances
from migrator.db.engine import Database
from migrator.errors import BadRequest, HostNotFound
from migrator.scheduler.fleet import evacuations
from migrator.scheduler.fleet.plan.model import FleetPlan, PlannedMove, Way
from migrator.scheduler.fleet.plan.planner import plan
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.settings import ServerSettings

MOST = 5000  # combinations of hosts that are planned for one question


@dataclass(frozen=True, slots=True)
class Loss:
    """``arriving``: names of instances that an operation under way brings to one of the hosts."""

    hosts: Sequence[str]
    plan: FleetPlan
    arriving: Sequence[str] = ()


def what_if(db: Database, names: Sequence[str], settings: ServerSettings, *, discard: bool) -> Loss:
    """These hosts are lost together. ``discard``: disks whose data only they have may be made anew. Raises
    HostNotFound, BadRequest (one is named twice, none would be left)."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadRequest(f"lose names {', '.join(twice)} twice: name each host once")
    with db.read() as connection:
        known = {row.name for row in drains.hosts_heard(connection)}
        if unknown := [name for name in names if name not in known]:
            raise HostNotFound(f"Host {', '.join(unknown)} is not registered", advice="see `migrator service-list`")
        _refuse_all(len(names), len(known))
        rows = instances.on_hosts(connection, names)
        fleet = evacuations.read(connection, rows, DrainRequest([Way.EVACUATE], discard=discard), settings)
        arriving = [name for host in names for name in drains.arriving(connection, host)]
    return Loss(tuple(names), plan(fleet.without(names, assumed=True)), arriving)


@dataclass(frozen=True, slots=True)
class LossResult:
    """``stay``: what would stay down; ``anew``: how many instances would be without data that only the hosts have."""

    hosts: Sequence[str]
    instances: int
    stay: Sequence[PlannedMove]
    anew: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """``losses``: those that would leave an instance down, the worst first; ``without_data``: hosts of the losses that
    would cost an instance data, whether it stays down for that or not."""

    lose: int
    hosts: int
    instances: int
    combinations: int
    losses: Sequence[LossResult]
    without_data: Sequence[str]


def capacity(db: Database, lose: int, settings: ServerSettings, *, discard: bool) -> Capacity:
    """What every loss of ``lose`` hosts at once would do. ``discard``: as in ``what_if``. Raises BadRequest (none would
    be left, too many combinations)."""
    with db.read() as connection:
        _refuse_all(lose, len(drains.hosts_heard(connection)))
    return _capacity(db, lose, settings, discard=discard)


def any_one_host(db: Database, settings: ServerSettings) -> Capacity:
    """What the loss of each host would do where disks may be made anew. The only host counts as well. Raises BadRequest
    (too many hosts)."""
    return _capacity(db, 1, settings, discard=True)


def _capacity(db: Database, lose: int, settings: ServerSettings, *, discard: bool) -> Capacity:
    """The database is read once, and left before the first plan is made."""
    with db.read() as connection:
        names = [row.name for row in drains.hosts_heard(connection)]
        number = _combinations(lose, len(names))
        rows = instances.on_hosts(connection)
        request = DrainRequest([Way.EVACUATE], discard=discard)
        fleet = evacuations.read(connection, rows, request, settings, everything=True)
    found = [_result(fleet, lost) for lost in combinations(names, lose) if any(name in fleet.here for name in lost)]
    losses = sorted((one for one in found if one.stay), key=lambda one: (-len(one.stay), one.hosts))
    without_data = sorted({name for one in found if one.anew for name in one.hosts})
    return Capacity(lose, len(names), len(rows), number, losses, without_data)


def _result(fleet: evacuations.Fleet, lost: Sequence[str]) -> LossResult:
    moves = plan(fleet.without(lost, assumed=True)).moves
    stay = [move for move in moves if move.way is None]
    return LossResult(tuple(lost), len(moves), stay, len([move for move in moves if move.guest.lost_disks]))


def _combinations(lose: int, hosts: int) -> int:
    """Raises BadRequest for more than can be planned in a request."""
    number = comb(hosts, lose)
    if number > MOST:
        most = max(n for n in range(1, lose) if comb(hosts, n) <= MOST) if hosts <= MOST else 0
        message = f"lose = {lose}: {lose} of {hosts} hosts are {number} combinations, and at most {MOST} are planned"
        fewer = f"ask for lose = {most}, or for hosts by name" if most else "ask for hosts by name"
        raise BadRequest(message, advice=f"{fewer}: `migrator what-if --lose HOSTS`")
    return number


def _refuse_all(number: int, known: int) -> None:
    if number >= known:
        taken = f"{number} of {known} host{'s' if known != 1 else ''}"
        message = f"lose takes {taken} away: none would be left to restart anything on"
        raise BadRequest(message, advice="lose fewer hosts than there are")
