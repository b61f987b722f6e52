"""``/v1/servers/{id}/where``: where an instance is and whether it is safe, in one answer.

Only reads. Puts together what ``whereabouts`` says of the copies and what ``evacuation_preflight`` says of the data.
"""

import logging
from typing import Any

from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v1 import alarms as alarm_view
from migrator.api.v1 import operations
from migrator.db import alarms, operation_list
from migrator.db.engine import Connection
from migrator.errors import HostNotFound
from migrator.log_limits import log_failure
from migrator.scheduler.checks.finding import Status
from migrator.scheduler.fleet import silent_hosts
from migrator.scheduler.fleet.plan.ha_policy import policy_of
from migrator.scheduler.hosts import reconciliation, whereabouts
from migrator.scheduler.hosts.reconciliation import Sides
from migrator.scheduler.placement import evacuation_preflight
from migrator.scheduler.placement.evacuation_preflight import EvacuationPreflight
from migrator.scheduler.state.loader import UNREADABLE

_AT_MOST = 100  # operations that are shown
_NAMED = 10  # hosts that could take it
_UNKNOWN = (
    " What would become of its data if its host were lost is not known: this server cannot read the instance's record; "
    "upgrade it if a newer server runs beside it."
)
log = logging.getLogger(__name__)


def show(request: ApiRequest) -> Answer:
    """Where it runs, by whose word and how old that is; copies elsewhere; what is under way and what it waits for;
    whether its data is safe if its host died now; what to do next. Also of an instance that was deleted or never
    recorded, while a host reports it. Errors: 404."""
    services, ident = request.services, request.params["ident"].replace("\x00", "")
    with services.db.read() as connection:
        sides = reconciliation.both_sides(connection, ident, services.settings)
        raised = [alarm_view.view(row) for row in alarms.listed(connection, instance_uuid=sides.uuid)]
        active = operation_list.listed(connection, sides.uuid, True, _AT_MOST)
        if_lost, unknown = _if_lost(connection, services, sides)
        policy = _policy(connection, services, sides)
    told = whereabouts.tell(sides, [alarm["advice"] for alarm in raised if alarm["advice"]])
    record = sides.record
    found = {
        "server": sides.uuid,
        "name": record.name if record is not None else None,
        "host": record.host if record is not None and not record.deleted else None,
        "standing": told.status.value,
        "summary": f"{told.summary}{unknown}",
        "elsewhere": list(told.elsewhere),
        "alarms": raised,
        "operations": [operations.view(row) for row in active],
        "if_host_is_lost": if_lost,
        "ha_policy": policy,
        "advice": list(told.advice),
    }
    return Answer(200, {"where": found})


def _policy(connection: Connection, services: Services, sides: Sides) -> dict[str, str] | None:
    """What the servers do on their own, and by whose word; null of what is not recorded."""
    record = sides.record
    if record is None or record.deleted:
        return None
    of_aggregates = silent_hosts.policies_of_hosts(connection, [record.host] if record.host else [])
    policies = of_aggregates.get(record.host or "", ())
    answer = policy_of(record.metadata or {}, policies, services.settings.ha_policy)
    return {"policy": answer.policy.value, "words": answer.message}


def _if_lost(connection: Connection, services: Services, sides: Sides) -> tuple[dict[str, Any] | None, str]:
    """null where no host has it, and where that cannot be told; and a sentence which says that ("": it can)."""
    if sides.record is None or sides.record.deleted:
        return None, ""
    try:
        found = evacuation_preflight.of_instance(connection, sides.record, services.settings)
    except HostNotFound:
        return None, ""
    except UNREADABLE as error:  # where it is, is asked most when something is broken: the rest is answered
        log_failure(log, error, "what becomes of instance %s if its host is lost cannot be told", sides.uuid)
        return None, _UNKNOWN
    return None if found is None else _describe_evacuation(found), ""


def _describe_evacuation(found: EvacuationPreflight) -> dict[str, Any]:
    able = [host.host for host in found.preflight.hosts if host.status is not Status.FAILED]
    return {
        "keeps_its_data": not found.loses_data,
        "refusal": found.refusal or None,
        "could_take_it": able[:_NAMED],
        "summary": _summary(found, able),
    }


def _summary(found: EvacuationPreflight, able: list[str]) -> str:
    data = "its disks are on storage that other hosts have too"
    if found.loses_data:
        data = "disks that only this host has would be made anew, without what was written to them"
    if found.refusal:
        return f"{data}; no evacuation could begin now: {found.refusal}."
    more = f" and {len(able) - _NAMED} more" if len(able) > _NAMED else ""
    takers = f"could start on {', '.join(able[:_NAMED])}{more}" if able else "could start on no other host now"
    return f"{data}; it {takers}."
