"""Who may speak for a host: the machine that registered it, and another one only after that one is silent and over.

Owns the decision, and what is said of a second machine at the server's end. What an agent says that is not the host's
machine is refused before anything is read from it. Never fences or stops anything: a refused agent does that itself.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum

from migrator.alarms import AlarmKind
from migrator.db import alarms, events, machines
from migrator.db.engine import Connection, Database
from migrator.db.rows import HostRow
from migrator.errors import Conflict, HostNotFound, MachineNotApproved, NameTaken
from migrator.event_types import EventType

log = logging.getLogger(__name__)

SHOWN_S = 600.0  # the alarm is over when no second machine asked for so long
_NAMED = 5  # things that are recorded of a host, in a message


class NameClaim(StrEnum):
    SAME = "same"  # it is the host
    FIRST = "first"  # no agent has said yet which machine the host is
    REPLACES = "replaces"  # the old machine is silent, and nothing of it is left or an operator vouches
    TAKEN = "taken"  # another machine is heard under the name
    HELD = "held"  # another machine is silent, and something of it is recorded


@dataclass(frozen=True, slots=True)
class Approved:
    host: str
    machine: str


def name_claim(row: HostRow | None, machine: str, down_after: float, *, empty: bool) -> NameClaim:
    """``row``: of ``hosts``, None for a new host. ``empty``: nothing is recorded of the host. Pure."""
    if row is None or row.machine is None:
        return NameClaim.FIRST
    if row.machine == machine:
        return NameClaim.SAME
    if row.silent_s <= down_after:
        return NameClaim.TAKEN
    if row.listening_s <= down_after or not machine:  # the first one may not have had the time to speak
        return NameClaim.HELD
    claimant = row.claimant or {}
    approved = claimant.get("machine") == machine and claimant.get("approved")
    return NameClaim.REPLACES if approved or empty else NameClaim.HELD


def admit(db: Database, host: str, machine: str, down_after: float, *, approve_new: bool = False) -> None:
    """Let the machine register as the host. ``approve_new``: another one takes instances only after an operator
    approved it. Raises NameTaken and MachineNotApproved; what is refused is an alarm."""
    with db.read() as connection:
        known = machines.of(connection, host)
    if known is None or known.machine == (machine or None):  # new, or as before: nothing to write down
        return
    with db.write() as connection:
        row = machines.known(connection, host)
        found = name_claim(row, machine, down_after, empty=not machines.recorded(connection, host))
        if found is NameClaim.REPLACES:
            machines.replace(connection, host, machine, approved=not approve_new)
            message = f"machine {machine} took the place of {row.machine if row is not None else ''}"
            events.add(connection, EventType.MACHINE_REPLACED, message, host=host)
            alarms.clear_alarm(connection, AlarmKind.SECOND_MACHINE, host=host)
        elif found is NameClaim.FIRST and row is not None and machine:
            machines.bind(connection, host, machine)
        elif found in (NameClaim.TAKEN, NameClaim.HELD):
            _say(connection, host, row, machine, found)
    if found is NameClaim.REPLACES:
        log.warning("%s", message, extra={"host": host})
    _raise(host, found)


def check(db: Database, host: str, machine: str, down_after: float) -> None:
    """Raises unless the machine is the host, or no agent has said yet which one is and neither does this one."""
    with db.read() as connection:
        recorded = machines.of(connection, host)
    known = recorded.machine if recorded is not None else None
    if known == (machine or None):
        if recorded is not None and recorded.claimed_s is not None and recorded.claimed_s > SHOWN_S:
            _forget(db, host)
        return
    if known is None:
        raise HostNotFound(f"Host {host} is not registered by this machine", advice="register it first")
    with db.write() as connection:
        row = machines.known(connection, host)
        found = name_claim(row, machine, down_after, empty=False)
        if found in (NameClaim.TAKEN, NameClaim.HELD):
            _say(connection, host, row, machine, found)
    if found is NameClaim.REPLACES:
        raise HostNotFound(f"Host {host} is not registered by this machine yet", advice="register it first")
    _raise(host, found)


def _forget(db: Database, host: str) -> None:
    with db.write() as connection:
        machines.forget_claimant(connection, host)
        alarms.clear_alarm(connection, AlarmKind.SECOND_MACHINE, host=host)


def _say(connection: Connection, host: str, row: HostRow | None, machine: str, found: NameClaim) -> None:
    if machine:
        machines.claim(connection, host, machine)
    other = f"machine {machine}" if machine else "a machine whose agent does not say which it is"
    message = f"{other} wants to be {host}, which machine {row.machine if row is not None else ''} is"
    message += ", and that one is heard" if found is NameClaim.TAKEN else ", and that one is silent"
    if alarms.raise_alarm(connection, AlarmKind.SECOND_MACHINE, message, host=host, details={"machine": machine}):
        log.error("%s", message, extra={"host": host})


def _raise(host: str, found: NameClaim) -> None:
    if found is NameClaim.TAKEN:
        raise NameTaken(
            f"Another machine is {host}, and is heard",
            advice="give this machine a name and a credential of its own, and a state_path that was not copied",
        )
    if found is NameClaim.HELD:
        raise MachineNotApproved(
            f"Another machine was {host} before this one, and something of it is still recorded",
            advice=f"if that one is gone for good: `migrator host-replace {host}`; `migrator alarms` names both",
        )


def approve(db: Database, host: str, machine: str | None, down_after: float, *, abandon: bool, by: str) -> Approved:
    """An operator's word: the machine that wants the name takes it, and the silent one never comes back as this host.
    ``abandon``: also what is recorded of the old machine. Raises HostNotFound, and Conflict while the old machine is
    heard, where no other machine asked, and for what is recorded without ``abandon``."""
    with db.write() as connection:
        row = machines.known(connection, host)
        if row is None:
            raise HostNotFound(f"Host {host} is not registered")
        wanted = machine or (row.claimant or {}).get("machine")
        if not wanted or wanted == row.machine:
            raise Conflict(f"No other machine asked to be {host}", advice="start its agent, which will be refused once")
        if row.silent_s <= down_after:
            raise Conflict(f"The machine that is {host} spoke {max(0.0, row.silent_s):.0f} s ago: stop its agent first")
        left = machines.recorded(connection, host)
        if left and not abandon:
            raise Conflict(
                f"Still recorded on {host}: {', '.join(left[:_NAMED])}{', ...' if len(left) > _NAMED else ''}",
                advice="evacuate or delete it first, or say --abandon: what only the old machine had is lost then",
            )
        machines.approve(connection, host, wanted)
        events.add(
            connection,
            EventType.MACHINE_REPLACED,
            f"{by} lets machine {wanted} take the place of {row.machine}",
            host=host,
        )
    return Approved(host, wanted)
