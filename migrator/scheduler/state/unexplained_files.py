"""Which files on a host no record explains, and why. Never removes anything."""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.db import leftovers
from migrator.db.engine import Connection
from migrator.db.partial_rows import LeftoverRow
from migrator.protocol import Leftover, LeftoverKind

_UNUSED = {
    LeftoverKind.CONSOLE: "the log of a domain that is not there",
    LeftoverKind.IMAGE: "a cached image that nothing asks for",
    LeftoverKind.BASE: "an image that no disk lies over",
    LeftoverKind.PART: "a file that was never completed",
    LeftoverKind.MEMORY: "a memory that was restored from",
}


def unexplained(connection: Connection, host: str, found: Sequence[Leftover]) -> list[tuple[Leftover, str]]:
    """What of it no record explains, each with the reason."""
    if not found:
        return []
    uuids = {one.instance for one in found if one.kind == LeftoverKind.DISKS}
    rows = {row.uuid: row for row in leftovers.records(connection, host, uuids)}
    own = leftovers.pools(connection, host)
    why = ((one, _unexplained_reason(one, rows.get(one.instance), host, own)) for one in found)
    return [(one, message) for one, message in why if message]


def _unexplained_reason(one: Leftover, row: LeftoverRow | None, host: str, own: Any) -> str:
    """ "": a record explains it."""
    if one.kind != LeftoverKind.DISKS:
        return next((message for kind, message in _UNUSED.items() if kind == one.kind), "nothing uses it")
    if row is None:
        return "no record knows this instance"
    if row.involved:
        return ""
    if row.deleted:
        return "the instance was deleted"
    if row.host is None:
        return "the instance is on no host"
    shared = _identity(own, one.pool) and _identity(own, one.pool) == _identity(row.pools, one.pool)
    return "" if row.host == host or shared else f"the instance is on {row.host}"


def _identity(pools: Any, name: str) -> str:
    pool = pools.get(name) if isinstance(pools, Mapping) else None
    return str(pool.get("identity") or "") if isinstance(pool, Mapping) else ""
