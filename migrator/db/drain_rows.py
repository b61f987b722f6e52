"""Rows of drains, their moves and their events, as their readers know them: see ``rows.py``."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class DrainRow(NamedTuple):
    """A row of ``drains``."""

    id: int
    uuid: str
    kind: str
    host: str
    state: str
    active: bool
    generation: int
    request: Mapping[str, Any]
    undo: bool
    note: str | None
    before: Mapping[str, Any]
    total_s: float
    longest_s: float
    request_id: str
    user_id: str
    project_id: str
    created_at: float
    planned_at: float | None
    deadline_at: float | None
    finished_at: float | None


class DrainMoveRow(NamedTuple):
    """A row of ``drain_moves``."""

    drain_id: int
    instance_uuid: str
    name: str
    source: str
    state: str
    way: str | None
    destination: str | None
    position: int
    plan: Mapping[str, Any]
    group_uuid: str | None
    attempts: int
    operation_id: int | None
    error: str | None
    not_before: float | None


class RecoveryRow(NamedTuple):
    """A row of ``recoveries``."""

    drain_id: int
    host: str
    lost_at: float
    evidence: Mapping[str, Any]


class GuestFailureRow(NamedTuple):
    """A row of ``guest_failures``; ``operation_id``: the start that answered the last failure; ``age_s``: since
    that failure."""

    instance_uuid: str
    failures: int
    failed_at: float
    due: bool
    operation_id: int | None
    age_s: float


class HeardRow(NamedTuple):
    """Of a row of ``hosts``, what says whether it answers and takes instances in. ``silent_s``: as in ``HostRow``."""

    name: str
    disabled: bool
    approved: bool
    forced_down: bool
    silent_s: float


class DrainEventRow(NamedTuple):
    """A row of ``drain_events``."""

    id: int
    drain_id: int
    at: float
    name: str
    instance_uuid: str | None
    message: str
