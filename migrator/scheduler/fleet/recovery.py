"""Begins recoveries: evacuations of lost hosts that no client asked for, where there is evidence.

Any server looks, at any time. What a recovery does then is a drain's (``runner.py``), and what is done about a loss is
decided by ``plan/loss_response.py``. Alarms say why nothing is begun, or does not go on. Never runs the fence command.
"""

import logging
import uuid as uuids
from collections.abc import Mapping, Sequence

from migrator.alarms import AlarmKind
from migrator.db import alarms, drains, hosts, instances, recoveries
from migrator.db.engine import Connection, Database
from migrator.errors import Conflict
from migrator.log_limits import log_failure
from migrator.scheduler.fleet import evacuations, records, silent_hosts
from migrator.scheduler.fleet.plan.loss_response import Act, Response, in_vain, is_left, is_open, respond, too_many
from migrator.scheduler.fleet.plan.model import FleetPlan, Way
from migrator.scheduler.fleet.plan.planner import plan
from migrator.scheduler.fleet.plan.vocabulary import EVACUATION, DrainRequest, DrainState
from migrator.scheduler.fleet.silent_hosts import Silent
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state.loader import UNREADABLE
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
_USER = "ha_policy"  # as whom the servers begin one
_KINDS = (AlarmKind.HOSTS_LOST, AlarmKind.RECOVERY_HELD, AlarmKind.RECOVERY_STUCK)
_ENDABLE = frozenset({DrainState.RUNNING, DrainState.BLOCKED, DrainState.PAUSED})
_LEFT = (
    "the recovery of host {0.name} is over, the host is silent, and instances to evacuate are left on it "
    "({0.instances}): `migrator host-evacuate {0.name}`"
)

Alarms = Mapping[tuple[AlarmKind, str], str]  # kind and host ("": of none) -> what it says


def check(db: Database, settings: ServerSettings) -> None:
    """At every host that is silent: begin what is due, and say what is not."""
    with db.read() as connection:
        silent = silent_hosts.read(connection, settings)
        responses = _responses(connection, silent, settings)
    for response in responses:
        try:
            _act(db, settings, response)
        except Exception as error:  # no host keeps another one waiting
            log_failure(log, error, "the recovery of host %s could not be begun; it is tried again", response.host)
    with db.read() as connection:
        wanted, known = _alarms(connection, silent, responses, settings), _open_alarms(connection)
    if wanted != known:
        with db.write() as connection:
            _tell(connection, wanted, known)


def to_fence(connection: Connection, settings: ServerSettings) -> list[str]:
    """Hosts for which the servers run the fence command on their own."""
    if settings.ha_fence != "automatic":
        return []
    responses = _responses(connection, silent_hosts.read(connection, settings), settings)
    return [response.host for response in responses if response.act is Act.FENCE]


def _responses(connection: Connection, silent: Silent, settings: ServerSettings) -> Sequence[Response]:
    """No host is fenced for nothing: one that may live is shot only if an instance then has a place elsewhere."""
    found = respond(silent.hosts, silent_hosts.rules_of(settings))
    return [_worth_it(connection, one, settings) if one.act is Act.FENCE else one for one in found]


def _worth_it(connection: Connection, response: Response, settings: ServerSettings) -> Response:
    host = response.host
    active = next(iter(drains.active_of(connection, [host])), None)
    if active and active.kind == EVACUATION and drains.operations_under_way(connection, active.id):
        return response  # an instance is on its way to the place that it has
    try:
        found = _plan(connection, host, active.id if active else 0, settings)
    except UNREADABLE as error:  # one host keeps no other waiting
        log_failure(log, error, "what would become of host %s if it were fenced cannot be planned", host)
        return in_vain(host, ["no plan can be made; the log of the servers has the reason"])
    if any(move.way is Way.EVACUATE for move in found.moves):
        return response
    return in_vain(host, [move.why for move in found.moves if move.way is None])


def _plan(connection: Connection, host: str, drain_id: int, settings: ServerSettings) -> FleetPlan:
    """As if there was evidence. ``drain_id``: of the host; what it has planned is no obstacle."""
    rows = instances.on_host(connection, host)
    fleet = evacuations.read(connection, rows, _request(host, settings), settings, drain_id=drain_id)
    return plan(fleet.without([host], assumed=True))


def _request(host: str, settings: ServerSettings) -> DrainRequest:
    reason, policy = f"host {host} is lost", settings.ha_policy
    return DrainRequest([Way.EVACUATE], reason=reason, disable=False, by_policy=True, policy=policy)


def _act(db: Database, settings: ServerSettings, response: Response) -> None:
    if response.act not in (Act.RECOVER, Act.END_DRAIN):
        return
    with db.write() as connection:
        hosts.lock(connection, [response.host])
        silent = silent_hosts.read(connection, settings)  # again: the host, or an operator, may have spoken since
        now = {one.host: one.act for one in respond(silent.hosts, silent_hosts.rules_of(settings))}
        if now.get(response.host) is not response.act:
            return
        if response.act is Act.END_DRAIN:
            _end_drain(connection, response.host)
            return
        try:
            with connection.begin_nested():
                _begin(connection, response.host, silent, settings)
        except Conflict:
            return  # another server was faster


def _begin(connection: Connection, host: str, silent: Silent, settings: ServerSettings) -> None:
    found, row = silent.evidence[host], silent.rows[host]
    caller = Caller(_USER, _USER, f"req-{uuids.uuid4()}")
    made = records.create(connection, caller, EVACUATION, host, _request(host, settings), {})
    evidence = {"kind": found.kind, "by": found.by, "words": found.message, "at": found.at}
    recoveries.add(connection, made.id, host, row.last_seen, evidence)
    drains.say(connection, made.id, "begun", f"host {host} is lost; evidence that it runs nothing: {found.message}")
    log.warning("host %s is lost, and its instances are evacuated: %s", host, found.message, extra={"host": host})


def _end_drain(connection: Connection, host: str) -> None:
    """What another drain would do with a host that is lost can not be done any more."""
    for drain in drains.active_of(connection, [host]):
        if drain.kind != EVACUATION and DrainState(drain.state) in _ENDABLE:
            state = {"state": DrainState.CANCELLING.value, "note": None}
            drains.change(connection, drain.id, drain.generation, state)
            drains.say(connection, drain.id, "cancel", f"host {host} is lost, and its instances are to be recovered")


def _alarms(connection: Connection, silent: Silent, responses: Sequence[Response], settings: ServerSettings) -> Alarms:
    rules = silent_hosts.rules_of(settings)
    if (message := too_many(silent.hosts, rules)) and any(map(is_open, silent.hosts)):
        wanted = {(AlarmKind.HOSTS_LOST, ""): f"{message}: nothing is recovered without a person"}
    else:
        wanted = {(AlarmKind.RECOVERY_HELD, one.host): one.held for one in responses if one.held}
    wanted |= {(AlarmKind.RECOVERY_HELD, one.name): _LEFT.format(one) for one in silent.hosts if is_left(one)}
    stuck = {row.host: row.note or "" for row in recoveries.blocked(connection)}
    return wanted | {
        (AlarmKind.RECOVERY_STUCK, host): f"the recovery of host {host} does not go on: {note}"
        for host, note in stuck.items()
    }


def _open_alarms(connection: Connection) -> Alarms:
    rows = alarms.listed(connection, kinds=[kind.value for kind in _KINDS])
    return {(AlarmKind(row.kind), row.host): row.message for row in rows}


def _tell(connection: Connection, wanted: Alarms, known: Alarms) -> None:
    for kind, host in sorted({*wanted, *known}):
        if (kind, host) in wanted:
            alarms.raise_alarm(connection, kind, wanted[kind, host], host=host or None)
        else:
            alarms.clear_alarm(connection, kind, host=host or None)
