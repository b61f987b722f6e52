"""What becomes of a host whose agent speaks a protocol that this server understands no more.

It counts as heard, so that its guests are not taken for lost and its lease does not lapse; it is asked for nothing, and
an alarm says what to upgrade. Which numbers are understood is ``protocol/versions.py``'s.
"""

import contextlib

from migrator.alarms import AlarmKind
from migrator.db import alarms, hosts
from migrator.db.engine import Database
from migrator.errors import HostNotFound, ProtocolUnsupported
from migrator.protocol import versions
from migrator.scheduler.hosts import machines


def admit(db: Database, host: str, said: int, machine: str, down_after: float) -> None:
    """``said``: the number that the agent says; ``down_after``: service_down_time. Raises ProtocolUnsupported, and
    NameTaken or MachineNotApproved for an agent that is not the host's anyway."""
    try:
        versions.check_agent(host, said)
    except ProtocolUnsupported as error:
        with contextlib.suppress(HostNotFound):  # a new one has nothing yet that could be lost
            _note(db, host, machine, down_after, error.sentence)
        raise


def _note(db: Database, host: str, machine: str, down_after: float, message: str) -> None:
    machines.check(db, host, machine, down_after)
    with db.write() as connection:
        hosts.seen(connection, host)
        alarms.raise_alarm(connection, AlarmKind.HOST_SETUP, message, host=host)
