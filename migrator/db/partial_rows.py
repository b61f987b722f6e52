"""Parts of rows as their readers know them: the columns that a query answers with, and their types. Owns no query.

See ``rows`` for whole ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ActiveRef(NamedTuple):
    """Where an active operation is."""

    id: int
    generation: int
    kind: str
    phase: str
    forward: bool
    source: str | None
    destination: str | None


class SpecRow(NamedTuple):
    """All that a snapshot needs of an instance."""

    uuid: str
    spec: Mapping[str, Any]
    host: str | None
    deleted: bool
    delete_requested: bool


class FactRow(NamedTuple):
    """A row of ``facts`` plus ``age_s``: seconds since it arrived, and ``told_s``: since it was told last, unchanged or
    not."""

    operation_id: int
    host: str
    epoch: int
    phase: str
    incarnation: int
    sequence: int
    received_at: float
    told_at: float | None
    body: Mapping[str, Any]
    age_s: float
    told_s: float


class RecordRow(NamedTuple):
    """An instance as the audit of a host's copies needs it. ``quiet``: the record has not changed for a while."""

    uuid: str
    host: str | None
    vm_state: str
    power_state: int
    launched_at: float | None
    deleted: bool
    accepted_stamps: Sequence[str] | None
    quiet: bool


class PolledRecord(NamedTuple):
    """An instance as a poll without news needs it."""

    uuid: str
    host: str
    launched_at: float | None
    deleted: bool
    power_state: int


class UnderWayRow(NamedTuple):
    """An active operation as the audit of a host's copies needs it."""

    instance_uuid: str
    kind: str
    phase: str
    source: str | None
    destination: str | None
    locks_instance: bool


class StampingRow(NamedTuple):
    """An operation whose UUID and epoch a domain is stamped with."""

    uuid: str
    epoch: int
    source: str | None
    destination: str | None


class QueueRow(NamedTuple):
    """An operation that comes into a host, or waits to (``queued``)."""

    id: int
    destination: str
    requested_host: str | None
    queued: bool


class SurveyRow(NamedTuple):
    """The newest survey of a host."""

    host: str
    body: Mapping[str, Any]
    age_s: float


class MachineRow(NamedTuple):
    """Which machine is the host, and how long ago another one wanted its name."""

    machine: str | None
    claimed_s: float | None


class LeftoverRow(NamedTuple):
    """An instance whose directory lies on a host. ``pools``: the storage of the instance's own host; ``involved``: an
    operation that has not ended has to do with the host where the directory is."""

    uuid: str
    host: str | None
    deleted: bool
    pools: Mapping[str, Any] | None
    involved: bool


class RegisteredRow(NamedTuple):
    """A host as a registration finds it. ``start``: of the agent that registered last; None: it was not told."""

    name: str
    machine: str | None
    incarnation: int
    poll_incarnation: int
    allowed: Mapping[str, int] | None
    proofs: Mapping[str, Any] | None
    start: str | None


class StayRow(NamedTuple):
    """A row of ``console_logs``: what a guest wrote during one stay on a host."""

    id: int
    instance_uuid: str
    place: int
    host: str
    file: int
    told: int
    content: bytes
