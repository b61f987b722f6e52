"""Taking a host out of the records: what is still outstanding on it, and what goes with it.

Owns which rows are the host's own. What other rows say of it (operations that ended, their facts, timelines, cleared
alarms) is history, and keeps its name. Never decides whether a host may go (``scheduler/hosts/removal.py`` does).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, true

from migrator.alarms import AlarmKind
from migrator.db import aggregates, alarms
from migrator.db.tables import agent_credentials, copies, guest_cpus, hosts, join_tokens, surveys

# Alarms about a guest or its data on the host. The others are about its agent, and end with the host.
_OF_COPIES = (
    AlarmKind.SPLIT,
    AlarmKind.LOST,
    AlarmKind.POSTCOPY_LOST,
    AlarmKind.COPY_ELSEWHERE,
    AlarmKind.COPY_NEWER,
    AlarmKind.DOMAIN_GONE,
    AlarmKind.GUEST_UNSEEN,
    AlarmKind.NO_RECORD,
)


def lock_credential(connection: Connection, host: str) -> None:
    """Keep the host's agent from registering until the transaction ends; before the host's own row."""
    query = select(agent_credentials.c.host).where(agent_credentials.c.host == host)
    connection.execute(query.with_for_update()).all()


def copies_of(connection: Connection, host: str) -> Sequence[tuple[str, str]]:
    """(instance, state) of what the host said last that it holds, where it is believed: what an agent merely claims
    keeps no host."""
    query = select(copies.c.instance_uuid, copies.c.state).where(copies.c.host == host, copies.c.believed == true())
    return [(row.instance_uuid, row.state) for row in connection.execute(query.order_by(copies.c.instance_uuid))]


def alarms_about_copies(connection: Connection, host: str) -> Sequence[Any]:
    """Open alarms about guests of the host, or their data."""
    return alarms.listed(connection, host=host, kinds=[kind.value for kind in _OF_COPIES])


def remove(connection: Connection, host: str) -> None:
    """The host, its agent's credential, and what its agent said last."""
    for table in (agent_credentials, join_tokens, surveys, guest_cpus, copies):
        connection.execute(delete(table).where(table.c.host == host))
    aggregates.forget_host(connection, host)
    connection.execute(delete(hosts).where(hosts.c.name == host))
    alarms.clear_alarms(connection, list(AlarmKind), host=host)  # last, as always
