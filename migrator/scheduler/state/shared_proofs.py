"""What proves that disks outlived their host on shared storage: what that host wrote there last, and how long before it
fell silent.

Owns the limit on that age and what is said of it. Never looks into a pool: an evacuation's destination does.
"""

from collections.abc import Mapping, Sequence

from migrator.db import events
from migrator.db.engine import Connection
from migrator.db.rows import HostRow
from migrator.errors import Conflict
from migrator.event_types import EventType
from migrator.settings import ServerSettings

_NAMED = 5  # hosts in one line


def ages(row: HostRow) -> Mapping[str, float]:
    """Pool -> seconds between the host's last proof there and its last word. Pure."""
    return {pool: max(0.0, row.last_seen - float(found["at"])) for pool, found in (row.proofs or {}).items()}


def check(row: HostRow, pools: Sequence[str], settings: ServerSettings) -> Mapping[str, float]:
    """The ages of what proves that these pools are shared. Raises Conflict for one that is too old, or missing."""
    limit, known = settings.shared_storage_proof_max_age, ages(row)
    if not limit:
        return {pool: known[pool] for pool in pools if pool in known}
    for pool in pools:
        if pool not in known or known[pool] > limit:
            found = f"{known[pool]:.0f} s before it fell silent" if pool in known else "never"
            last = f"wrote its last proof there {found}, and shared_storage_proof_max_age is {limit:g} s"
            raise Conflict(
                f"Whether another host really shares {pool} with {row.name} is not proven: {row.name} {last}",
                advice="make sure that every host has the same storage there; with the setting 0 the marker is enough",
                without_hosts=f"Whether another host really shares {pool} with the lost one is not proven: it {last}",
            )
    return {pool: known[pool] for pool in pools}


def refusal(row: HostRow, pools: Sequence[str], settings: ServerSettings) -> str:
    """What ``check`` would raise; "": nothing."""
    try:
        check(row, pools, settings)
    except Conflict as error:
        return error.sentence
    return ""


def note(
    connection: Connection,
    operation_id: int,
    uuid: str,
    host: str,
    proven: Mapping[str, float],
    sharers: Mapping[str, Sequence[str]],
) -> None:
    """What the evacuation takes for shared, on whose word: one host's false claim must be seen, or it cannot be
    removed. ``sharers``: pool -> the hosts that report the same storage there."""
    for pool, names in sorted(sharers.items()):
        said = [f"{pool} of {host} counts as shared, for {_listed(names)} the same storage there"]
        if pool in proven:
            said.append(
                f"{host} wrote its last proof into it {proven[pool]:.0f} s before it fell silent; it is looked for"
            )
        said.append(
            "if no other host really shares it, remove the one that says so (migrator host-delete) and ask again"
        )
        message = "; ".join(said)
        events.add(
            connection,
            EventType.STORAGE_NOT_SHARED,
            message,
            operation_id=operation_id,
            instance_uuid=uuid,
            host=host,
            epoch=1,
        )


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} reports"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} report"
