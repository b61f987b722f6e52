"""Registers hosts: the descriptions that many agents send at one moment, in one transaction.

Owns who may register (with ``machines.py``), and that each host has an answer of its own: one that is refused, or whose
description cannot be stored, keeps no other host from being registered. Knows no HTTP.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial

from migrator.alarms import AlarmKind
from migrator.db import alarms, credentials, hosts, machines, registrations
from migrator.db.clock import now
from migrator.db.engine import Connection, Database
from migrator.db.partial_rows import RegisteredRow
from migrator.db.polls import CLOCKS_DIFFER_S
from migrator.errors import (
    BadRequest,
    ConcurrentUpdate,
    DatabaseUnavailable,
    IncarnationSuperseded,
    MigratorError,
    Unauthorized,
)
from migrator.protocol import Registration, versions
from migrator.scheduler.hosts import machines as machine_rules
from migrator.scheduler.hosts import protocol_skew
from migrator.untrusted import host_name

log = logging.getLogger(__name__)
# What an agent says that is wrong with itself or its host.
_SAID = (AlarmKind.AGENT_IMPAIRED, AlarmKind.AGENT_LOST, AlarmKind.HOST_SETUP)

Told = Mapping[str, Registration]
Refused = Mapping[str, Exception]


def take(
    db: Database,
    told: Told,
    down_after: float,
    *,
    tokens: Mapping[str, str] | None = None,
    approve_new: bool = False,
) -> Refused:
    """Register the hosts; those that are refused, and why: Unauthorized, NameTaken, MachineNotApproved,
    ProtocolUnsupported, IncarnationSuperseded for an agent that is older than one that was heard, BadRequest for an
    incarnation that only a wrong clock can have counted from, ConcurrentUpdate. Raises DatabaseUnavailable.
    ``down_after``: service_down_time; ``tokens``: of the agents, which must still be their hosts' when these are
    registered, for a host may just be removed; ``approve_new``: a new machine takes no instances before an operator
    approved it."""
    refused = _not_admitted(db, told, down_after, approve_new=approve_new)
    rest = {host: one for host, one in sorted(told.items()) if host not in refused}
    return {**refused, **_written(partial(_write, db, tokens, approve_new), rest)}


def newest(connection: Connection) -> int:
    """Incarnations count from the time of day at which the agent's journal was begun, or from 0."""
    return int(now(connection)) + CLOCKS_DIFFER_S


def highest_believed(connection: Connection, host: str) -> int:
    """Of what its agent says of itself: after a higher incarnation no later agent of the host would be heard."""
    return max(newest(connection), hosts.incarnation(connection, host))


def _not_admitted(db: Database, told: Told, down_after: float, *, approve_new: bool) -> Refused:
    """By their names, protocols and machines. What is refused is written down where it has to be."""
    refused = _wrong_names(told)
    named = {host: one for host, one in told.items() if host not in refused}
    with db.read() as connection:
        known = machines.of_hosts(connection, named)
    for host, one in named.items():
        try:
            if one.report.protocol < versions.OLDEST_AGENT:
                protocol_skew.admit(db, host, one.report.protocol, one.machine, down_after)
            if host in known and known[host] != (one.machine or None):
                machine_rules.admit(db, host, one.machine, down_after, approve_new=approve_new)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            refused[host] = error
    return refused


def _wrong_names(told: Told) -> dict[str, Exception]:
    found: dict[str, Exception] = {}
    for host in told:
        try:
            host_name.check(host)
        except BadRequest as error:
            found[host] = error
    return found


def _written(write: Callable[[Told], Refused], told: Told) -> Refused:
    """Together; where that fails, each alone."""
    try:
        return write(told) if told else {}
    except DatabaseUnavailable:
        raise
    except Exception as error:
        if len(told) == 1:
            return dict.fromkeys(told, error)
        if not isinstance(error, MigratorError):
            log.exception("%d hosts cannot be registered together: each is registered alone", len(told))
    refused: dict[str, Exception] = {}
    for host, one in told.items():
        refused |= _written(write, {host: one})
    return refused


def _write(db: Database, tokens: Mapping[str, str] | None, approve_new: bool, told: Told) -> Refused:
    with db.write() as connection:
        refused: dict[str, Exception] = {}
        if tokens is not None:
            held = credentials.hold(connection, {host: tokens[host] for host in told})
            unknown = told.keys() - held
            refused |= {host: Unauthorized(credentials.UNKNOWN, advice=credentials.UNKNOWN_ADVICE) for host in unknown}
        before = registrations.known(connection, told)
        most = newest(connection)
        for host, one in told.items():
            error = _refusal(host, one, before.get(host), most)
            if error is not None:
                refused.setdefault(host, error)
        taken = {host: one for host, one in told.items() if host not in refused}
        endless = [host for host in taken if host in before and _polled(before[host], most) is None]
        registrations.forget_polls(connection, endless)
        if taken:
            registrations.register(connection, taken, before, approved=not approve_new)
            _note_alarms(connection, taken)
    return refused


def _polled(before: RegisteredRow, most: int) -> int | None:
    """The incarnation of the newest poll that was heard; None for one that no agent can have, of before that was looked
    at. A database that was restored may have heard polls of a later agent than the one that registered."""
    return before.poll_incarnation if before.poll_incarnation <= max(most, before.incarnation) else None


def _refusal(host: str, told: Registration, before: RegisteredRow | None, most: int) -> MigratorError | None:
    """``before``: the host's row, None: there is none; ``most``: the highest incarnation that is believed. Pure."""
    registered = before.incarnation if before is not None else 0
    known = max(registered, (_polled(before, most) or 0) if before is not None else 0)
    start = before.start if before is not None else None
    # Of two starts with one incarnation the later one found a journal of before the earlier: its facts would count for
    # older than what was heard. Agents of before that was told say no start.
    twice = told.incarnation == registered and bool(start and told.report.start) and start != told.report.start
    if told.incarnation < known or twice:
        return IncarnationSuperseded(
            f"{host}: incarnation {told.incarnation} of its agent registers, and {known} was heard",
            advice="run one agent a host; one whose journal is older goes on above that automatically",
            details={"known": known},
        )
    if told.incarnation > max(most, known + 1):  # the one after a known one is an agent's that was told which is known
        return BadRequest(
            f"Incarnation {told.incarnation} of {host} lies in the future: no later agent of it would be heard.",
            advice="set the host's clock, stop its transfers, and move the agent's journal away",
        )
    if before is not None and before.machine != (told.machine or None):  # it was that machine's a moment ago
        return ConcurrentUpdate(f"{host}: another machine was registered at this moment; ask again")
    return None


def _note_alarms(connection: Connection, told: Told) -> None:
    """What agents say that is wrong with themselves or their hosts, and what they say no more."""
    raised = alarms.open_of_hosts(connection, told, _SAID)
    for kind in _SAID:  # in the order of alarms: see ``db/alarms.py``
        for host, one in told.items():
            if message := _alarm_message(one, kind):
                alarms.raise_alarm(connection, kind, f"{host}: {message}", host=host)
            elif (kind.value, host) in raised:
                alarms.clear_alarm(connection, kind, host=host)


def _alarm_message(told: Registration, kind: AlarmKind) -> str:
    if kind is AlarmKind.HOST_SETUP:
        return "; ".join(told.report.warnings)
    return told.report.impaired if kind is AlarmKind.AGENT_IMPAIRED else told.report.lost
