"""Who stands at which host: operations that come in, and those that wait until they may.

An operation stands at its destination. This module owns no rule: what counts is told by a ``Rule``. Nothing is kept
beside the operations themselves.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, or_, select, true, tuple_

from migrator.db.partial_rows import QueueRow
from migrator.db.tables import operations

_C = operations.c


@dataclass(frozen=True, slots=True)
class Rule:
    """Under way are operations in one of ``under_way`` ((kind, phase) pairs), in either direction; those on their way
    forward in ``queued`` wait, with the kind ``urgent`` in front, and then by age."""

    queued: str
    urgent: str
    under_way: tuple[tuple[str, str], ...]


# Of what comes into a host: what stays on its host does not.
_HERE = (
    _C.active == true(),
    _C.locks_instance == true(),
    _C.destination.is_not(None),
    or_(_C.source.is_(None), _C.source != _C.destination),
)


def _is_queued(rule: Rule) -> ColumnElement[bool]:
    kinds = {kind for kind, _ in rule.under_way}
    return and_(_C.phase == rule.queued, _C.forward == true(), _C.kind.in_(sorted(kinds)))


def _is_under_way(rule: Rule) -> ColumnElement[bool]:
    return tuple_(_C.kind, _C.phase).in_(list(rule.under_way))


def _before(rule: Rule, urgent: bool) -> ColumnElement[bool]:
    """What goes before the operation ``me``."""
    elder, first = _C.id < bindparam("me"), _C.kind == rule.urgent
    queued = and_(_is_queued(rule), and_(elder, first) if urgent else or_(elder, first))
    return and_(_C.id != bindparam("me"), or_(_is_under_way(rule), queued))


# Built once for a rule: that takes as long as running them.
@cache
def _everywhere(rule: Rule, urgent: bool) -> Select[Any]:
    query = select(_C.destination, func.count().label("ahead")).where(*_HERE, _before(rule, urgent))
    return query.group_by(_C.destination)


@cache
def _at(rule: Rule, urgent: bool) -> Select[Any]:
    query = select(func.count()).select_from(operations).where(*_HERE, _before(rule, urgent))
    return query.where(_C.destination == bindparam("host"))


@cache
def _standing(rule: Rule) -> Select[Any]:
    columns = (_C.id, _C.destination, _C.requested_host, _is_queued(rule).label("queued"))
    query = select(*columns).where(*_HERE, or_(_is_under_way(rule), _is_queued(rule)))
    return query.where(_C.destination.in_(bindparam("hosts", expanding=True))).order_by(*_order(rule))


@cache
def _first(rule: Rule, free: bool) -> Select[Any]:
    query = select(_C.id).where(*_HERE, _is_queued(rule), _C.destination == bindparam("host"))
    return (query.where(_C.requested_host.is_(None)) if free else query).order_by(*_order(rule)).limit(1)


def _order(rule: Rule) -> tuple[ColumnElement[Any], ...]:
    return case((_C.kind == rule.urgent, 0), else_=1), _C.id


def ahead_everywhere(connection: Connection, rule: Rule, operation_id: int, urgent: bool) -> Mapping[str, int]:
    """Host -> how many operations go before this one there; hosts without any are not in it."""
    found = connection.execute(_everywhere(rule, urgent), {"me": operation_id})
    return {row.destination: row.ahead for row in found}


def ahead(connection: Connection, rule: Rule, operation_id: int, urgent: bool, host: str) -> int:
    """How many operations go before this one at the host."""
    return int(connection.execute(_at(rule, urgent), {"me": operation_id, "host": host}).scalar_one())


def members(connection: Connection, rule: Rule, hosts: Collection[str]) -> Sequence[QueueRow]:
    """All that stand at these hosts; those that wait, in their order."""
    if not hosts:
        return ()
    return cast(Sequence[QueueRow], connection.execute(_standing(rule), {"hosts": list(hosts)}).all())


def first(connection: Connection, rule: Rule, host: str, *, free: bool = False) -> int | None:
    """The id of the next operation at the host, or None. ``free``: of operations that any host would do for."""
    return connection.execute(_first(rule, free), {"host": host}).scalar()
