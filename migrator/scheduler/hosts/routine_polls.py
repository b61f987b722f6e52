"""Polls that bring no news, of many hosts at once: the agent spoke, and holds what it held before.

Nearly all polls of a large cluster are such; each alone would be a dozen statements and a transaction. Owns the
decision which ones are. Every other poll is left to ``scheduler/agents.py``, which also finds out what is wrong with
it: where this is in doubt, a poll is no routine. Knows no HTTP.
"""

from collections.abc import Mapping

from migrator.db import keys, poll_groups
from migrator.db.engine import Connection, Database
from migrator.db.poll_groups import Recorded
from migrator.db.polls import PollTold
from migrator.protocol import Poll
from migrator.scheduler.hosts import audit, machines
from migrator.scheduler.state import host_operations


def take(db: Database, polls: Mapping[str, Poll]) -> Mapping[str, bool]:
    """Note the heartbeats of the hosts whose polls are routine. Each of these hosts -> whether any operation asks
    something of it now; of the others nothing is noted."""
    with db.read() as connection:
        found = poll_groups.recorded(connection, polls, audit.RAISED)
        key = _key(connection, polls)
        routine = {host: poll for host, poll in polls.items() if host in found and _is_routine(key, host, poll, found)}
    if not routine:
        return {}
    told = {host: _as_told(poll) for host, poll in routine.items()}
    holding = [host for host, poll in routine.items() if poll.copies]
    boots = [(host, poll.boot) for host, poll in routine.items() if _first_boot(poll, found[host])]
    with db.write() as connection:
        if not poll_groups.beat(connection, told, found, holding, boots):
            return {}
    with db.read() as connection:
        asked = host_operations.asked_among(connection, routine)
    return {host: host in asked for host in routine}


def _key(connection: Connection, polls: Mapping[str, Poll]) -> bytes:
    sealed = any(copy.seal for poll in polls.values() for copy in poll.copies or ())
    return keys.stamp_key(connection) if sealed else b""


def _as_told(poll: Poll) -> PollTold:
    listed = poll.copies is not None and poll.complete
    return PollTold(poll.incarnation, poll.number, poll.working, listed)


def _is_routine(key: bytes, host: str, poll: Poll, found: Mapping[str, Recorded]) -> bool:
    known = found[host]
    if known.machine != (poll.machine or None) or not _as_told(poll).is_newer(known.polled):
        return False
    if known.claimed_s is not None and known.claimed_s > machines.SHOWN_S:  # there is something to forget
        return False
    if not (_same_work(poll, known) or _first_idle(poll, known)):
        return False
    if poll.copies is None:
        return True
    if known.alarmed or not (_same_boot(poll, known) or _first_boot(poll, known)):
        return False
    return audit.unchanged(key, host, poll.copies, known.copies, known.records)


def _same_boot(poll: Poll, known: Recorded) -> bool:
    return not poll.boot or (known.boot == poll.boot and known.resume_until is None)


def _same_work(poll: Poll, known: Recorded) -> bool:
    return known.working == (None if poll.working is None else list(poll.working))


def _first_idle(poll: Poll, known: Recorded) -> bool:
    """Which each new host tells."""
    return known.working is None and poll.working == ()


def _first_boot(poll: Poll, known: Recorded) -> bool:
    """Which is no reboot."""
    return bool(poll.boot) and poll.copies is not None and known.boot is None
