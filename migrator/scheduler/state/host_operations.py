"""Which operations ask something of a host now, and the versions by which a change of that is seen.

Reads only; what they ask is worked out by ``decision/assignments.py``.
"""

from collections.abc import Collection, Mapping, Sequence

from migrator.db import operations
from migrator.db.engine import Connection, Database
from migrator.scheduler.decision.assignments import asked
from migrator.scheduler.decision.snapshot import Placed
from migrator.scheduler.state.loader import UNREADABLE

Versions = tuple[tuple[int, int], ...]


def versions(db: Database, host: str) -> Versions:
    """(id, generation) of every operation that asks something of the host: what it asks changes with its generation.
    What else it follows from changes seldom, and does not show here: the hosts' descriptions, and which of them are
    up."""
    with db.read() as connection:
        return tuple((p.id, p.generation) for p in operations.active_refs(connection, host) if _asks(p, host))


def asked_of(connection: Connection, host: str) -> Sequence[int]:
    """Ids of the operations that ask something of the host. Most of a whole host's evacuations ask nothing of their
    destination any more, and only wait for the lost one."""
    return [place.id for place in operations.active_refs(connection, host) if _asks(place, host)]


def asked_among(connection: Connection, hosts: Collection[str]) -> frozenset[str]:
    """Those of the hosts of which some operation asks something."""
    found = operations.places_of(connection, hosts)
    ends = {(place, host) for place in found for host in (place.source, place.destination) if host and host in hosts}
    return frozenset(host for place, host in ends if _asks(place, host))


def _asks(place: Placed, host: str) -> bool:
    """Of an operation that this server does not know nothing is asked."""
    try:
        return host in asked(place)
    except UNREADABLE:
        return False


def all_versions(db: Database) -> Mapping[str, Versions]:
    """The versions of every host of which some operation asks something."""
    found: dict[str, list[tuple[int, int]]] = {}
    with db.read() as connection:
        for place in operations.all_active_refs(connection):
            for host in (place.source, place.destination):
                if host is not None and _asks(place, host):
                    found.setdefault(host, []).append((place.id, place.generation))
    return {host: tuple(versions) for host, versions in found.items()}
