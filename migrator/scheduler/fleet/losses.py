"""What would become of instances if their hosts were lost: hosts that are named, or any. Changes nothing.

Owns which losses are asked for, and that their number has a bound. Where each instance would go is the planner's, by
what ``evacuations`` reads: the same as for a host that is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.db import drains, instances
from migrator.db.engine import Database
from migrator.errors import BadRequest, HostNotFound
from migrator.scheduler.fleet import evacuations
from migrator.scheduler.fleet.plan.model import FleetPlan, Way
from migrator.scheduler.fleet.plan.planner import plan
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.settings import ServerSettings


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


def _refuse_all(number: int, known: int) -> None:
    if number >= known:
        words = f"lose takes {number} of {known} hosts away: none would be left to restart anything on"
        raise BadRequest(words, advice="lose fewer hosts than there are")
