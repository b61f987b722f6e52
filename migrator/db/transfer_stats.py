"""How far the moves under way are: the newest counters (``protocol.JobFact``) of the host that carries the transfer.

Reads only. A live migration is the source's to carry; a cold copy the destination's, which fetches.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, and_, case, select, true

from migrator.db.tables import facts, operations

_o = operations.c
_LIVE = "live-migration"
_LATEST = 10
_NEARLY = 0.8  # of a limit: no more would have been tried
_SLOWED = frozenset({"held", "bandwidth_mib_s"})  # parameters under which a mean rate says nothing of the network
_LASTING_MS = 500  # in less the beginning counts for too much
_carrier = case((_o.kind == _LIVE, _o.source), else_=_o.destination)
_query = select(_o.id, _o.instance_uuid, _o.kind, _o.outcome, facts.c.body["job"].label("job")).join(
    facts, and_(facts.c.operation_id == _o.id, facts.c.host == _carrier)
)


def of_operations(connection: Connection, ids: Collection[int]) -> Mapping[int, Mapping[str, Any]]:
    """By operation, where a transfer has begun."""
    rows = connection.execute(_query.where(_o.id.in_(ids))).all() if ids else ()
    return {row.id: row.job for row in rows if isinstance(row.job, Mapping)}


def of_operation(connection: Connection, operation_id: int) -> Mapping[str, Any] | None:
    """None before the transfer began."""
    row = connection.execute(_query.where(_o.id == operation_id)).one_or_none()
    return row.job if row is not None and isinstance(row.job, Mapping) else None


def reached_mib_s(connection: Connection, source: str, destination: str) -> float | None:
    """MiB/s of the fastest of the last live migrations from host to host that lasted and were held back neither by a
    limit nor by an operator's hand; None: there were none."""
    wanted = select(_o.outcome, _o.steering, _o.context["limit_mib_s"].label("limit")).where(
        _o.kind == _LIVE, _o.source == source, _o.destination == destination, _o.status == "completed"
    )
    newest = connection.execute(wanted.order_by(_o.id.desc()).limit(_LATEST)).all()
    unsteered = [row for row in newest if not _SLOWED.intersection(row.steering or {})]
    rates = [(rate, row.limit) for row in unsteered if (rate := _rate(row.outcome or {})) is not None]
    return max((rate for rate, limit in rates if not limit or rate < _NEARLY * limit), default=None)


def _rate(outcome: Mapping[str, Any]) -> float | None:
    lasted_ms = (outcome.get("elapsed_ms") or 0) - (outcome.get("setup_ms") or 0) - (outcome.get("downtime_ms") or 0)
    sent = sum(outcome.get(f"{part}_processed_bytes") or 0 for part in ("memory", "disk"))
    return sent / 1024**2 / lasted_ms * 1000 if sent and lasted_ms >= _LASTING_MS else None


def percents(connection: Connection, uuids: Collection[str]) -> Mapping[str, int]:
    """Instance -> 0 to 100, for those of the instances whose transfer has begun. One that has an outcome is over, also
    for a caller who read a moment ago that it was under way."""
    if not uuids:
        return {}
    wanted = _query.where(
        _o.instance_uuid.in_(uuids), _o.active == true(), _o.locks_instance == true(), _o.moves == true()
    )
    rows = connection.execute(wanted).all()
    begun = [row for row in rows if row.outcome or isinstance(row.job, Mapping)]
    return {row.instance_uuid: 100 if row.outcome else percent(row.kind, row.job) for row in begun}


def percent(kind: str, job: Mapping[str, Any]) -> int:
    """A live migration sends memory again that the guest wrote to since, so there only what remains tells."""
    total, done, remaining = (
        sum(job.get(f"{part}_{what}_bytes") or 0 for part in ("memory", "disk"))
        for what in ("total", "processed", "remaining")
    )
    if total <= 0:
        return 0
    part = total - remaining if kind == _LIVE else done
    return max(0, min(100, 100 * part // total))
