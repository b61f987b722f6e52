"""Polls as they are written down: which of a host's was the newest, and what it told.

A poll may be held up at one of several servers, and an agent may count from a wrong clock: of neither is more believed
than that its host was heard. Never decides what follows from what is told.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Connection, Select, Update, and_, bindparam, case, or_

from migrator.db import hosts, server_heartbeat
from migrator.db.clock import moment as now_of
from migrator.db.tables import hosts as table

# Incarnations count from the time of day at which an agent's journal was begun, or from 0. After a higher one than can
# be, no later agent of the host would be heard.
CLOCKS_DIFFER_S = 7 * 24 * 3600


class NewestPoll(NamedTuple):
    """Of a host. ``most``: the highest incarnation that is believed of it."""

    start: int
    number: int
    most: float


@dataclass(frozen=True, slots=True)
class PollTold:
    """What one poll tells. ``start``, ``number``: the agent's incarnation, and which of its polls it is; 0: an agent of
    an earlier release, whose polls are taken in the order in which they come. ``working``: instances that the agent
    works on, None where it does not tell; ``listed``: it listed all copies, and they were compared with the records."""

    start: int
    number: int
    working: Sequence[str] | None = None
    listed: bool = False

    def is_newer(self, known: NewestPoll) -> bool:
        """Than the one that is known, or it has no number; and its agent can be."""
        return self.start <= known.most and (not self.number or (self.start, self.number) > known[:2])

    def values(self) -> Mapping[str, Any]:
        """For ``polled_update``."""
        instances = None if self.working is None else list(self.working)
        return {"start": self.start, "number": self.number, "instances": instances, "listed": self.listed}


@cache
def polled_update(dialect: str) -> Update:
    """Of one poll: its heartbeat, and unless a newer one was heard what it tells (see ``PollTold``)."""
    clock, c = server_heartbeat.clock_of(dialect), table.c
    start, number = bindparam("start", type_=c.poll_incarnation.type), bindparam("number", type_=c.poll_number.type)
    believed = or_(start <= c.incarnation, start <= now_of(dialect) + CLOCKS_DIFFER_S)
    later = and_(c.poll_incarnation == start, c.poll_number < number)
    newer = and_(believed, or_(number == 0, c.poll_incarnation < start, later))
    numbered = and_(newer, number > 0)
    told: dict[str, Any] = {
        "working": case((newer, bindparam("instances", type_=c.working.type)), else_=c.working),
        "working_at": case((newer, clock), else_=c.working_at),
        "listed_at": case((and_(newer, bindparam("listed", type_=Boolean())), clock), else_=c.listed_at),
        "poll_incarnation": case((numbered, start), else_=c.poll_incarnation),
        "poll_number": case((numbered, number), else_=c.poll_number),
    }
    return hosts.beat(dialect).values(told)


def columns(dialect: str) -> Sequence[ColumnElement[Any]]:
    """For ``newest``."""
    c = table.c
    return c.poll_incarnation, c.poll_number, c.incarnation, now_of(dialect).label("moment")


def newest(row: Any) -> NewestPoll:
    most = max(row.incarnation, row.moment + CLOCKS_DIFFER_S)
    return NewestPoll(row.poll_incarnation, row.poll_number, most)


@cache
def _lock(dialect: str) -> Select[Any]:
    return hosts.LOCK.with_only_columns(table.c.name, *columns(dialect))


def lock(connection: Connection, names: Collection[str]) -> Mapping[str, NewestPoll]:
    """``hosts.lock``; and of each host its newest poll."""
    rows = connection.execute(_lock(connection.dialect.name), {"wanted": list(names)})
    return {row.name: newest(row) for row in rows}


def polled(connection: Connection, name: str, told: PollTold) -> None:
    """``hosts.seen``, by a poll."""
    hosts.note(connection, name, polled_update(connection.dialect.name), told.values())
