"""Whole rows as their readers know them: the columns of a table, and their types. Owns no query.

A function of this package that answers with rows names one of these types, or one of ``partial_rows``;
``tests/db/test_rows.py`` compares each with its query. JSON columns are untyped here: their readers parse them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class HostRow(NamedTuple):
    """A row of ``hosts`` plus seconds by the servers' clock. ``silent_s``: since the agent's last poll;
    ``listening_s``: for which there has been a server to poll; ``heard_s``: since the agent's last silence;
    ``listed_s``: since it listed all of its copies, None if it never did.
    ``behind_s``: added to a moment by the servers' clock, such as ``last_seen``, it makes one by the database's."""

    id: int
    uuid: str
    hypervisor_uuid: str
    name: str
    report: Mapping[str, Any]
    vcpus: int
    memory_mb: int
    disk_gb: int
    free_vcpus: float
    free_memory_mb: float
    free_disk_gb: float
    disabled: bool
    disabled_reason: str | None
    approved: bool
    allowed: Mapping[str, Any] | None
    forced_down: bool
    fencing: Mapping[str, Any] | None
    fence_attempt: Mapping[str, Any] | None
    incarnation: int
    last_seen: float
    machine: str | None
    claimant: Mapping[str, Any] | None
    proofs: Mapping[str, Any] | None
    fence_address: str | None
    boot: str | None
    resume_until: float | None
    working: Sequence[str] | None
    working_at: float | None
    poll_incarnation: int
    poll_number: int
    listed_at: float | None
    heard_since: float | None
    created_at: float
    updated_at: float | None
    silent_s: float
    listening_s: float
    heard_s: float
    listed_s: float | None
    behind_s: float


class InstanceRow(NamedTuple):
    """A row of ``instances``."""

    id: int
    uuid: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    reservation_id: str
    flavor: Mapping[str, Any]
    image_id: str | None
    image_properties: Mapping[str, Any] | None
    spec: Mapping[str, Any]
    host: str | None
    availability_zone: str | None
    server_group: str | None
    scheduler_hints: Mapping[str, Any] | None
    vm_state: str
    task_state: str | None
    power_state: int
    fault: Mapping[str, Any] | None
    metadata: Mapping[str, str]
    tags: Sequence[str]
    networks: Sequence[Mapping[str, Any]]
    key_name: str | None
    key_data: str | None
    hostname: str | None
    access_ip_v4: str | None
    access_ip_v6: str | None
    disk_config: str | None
    config_drive: bool
    locked_by: str | None
    locked_reason: str | None
    progress: int
    delete_requested: bool
    accepted_stamps: Sequence[str] | None
    served: int
    deleted: bool
    created_at: float
    updated_at: float | None
    launched_at: float | None
    terminated_at: float | None


class OperationRow(NamedTuple):
    """A row of ``operations``."""

    id: int
    uuid: str
    kind: str
    instance_uuid: str
    active: bool
    moves: bool
    locks_instance: bool
    phase: str
    forward: bool
    epoch: int
    generation: int
    serial: int
    status: str
    source: str | None
    destination: str | None
    requested_host: str | None
    params: Mapping[str, Any]
    context: Mapping[str, Any]
    cancel_requested: bool
    confirm_requested: bool
    steering: Mapping[str, Any] | None
    wait_reason: str | None
    error: Mapping[str, Any] | None
    outcome: Mapping[str, Any] | None
    request_id: str
    user_id: str
    project_id: str
    phase_since: float
    created_at: float
    updated_at: float | None
    finished_at: float | None


class ImageRow(NamedTuple):
    """A row of ``images``."""

    id: str
    name: str | None
    status: str
    visibility: str
    protected: bool
    os_hidden: bool
    owner: str | None
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    checksum_sha256: str | None
    properties: Mapping[str, str]
    tags: Sequence[str]
    created_at: float
    updated_at: float


class AggregateRow(NamedTuple):
    """A row of ``aggregates``."""

    id: int
    uuid: str
    name: str
    metadata: Mapping[str, str]
    created_at: float
    updated_at: float | None


class ServerGroupRow(NamedTuple):
    """A row of ``server_groups``."""

    id: int
    uuid: str
    name: str
    policy: str
    rules: Mapping[str, int]
    project_id: str
    user_id: str
    created_at: float


class KeyPairRow(NamedTuple):
    """A row of ``key_pairs``."""

    id: int
    project_id: str
    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: float


class VolumeRow(NamedTuple):
    """A row of ``volumes``."""

    id: str
    name: str
    source: str
    size_gb: int
    image_id: str | None
    instance_uuid: str | None
    target: str | None
    created_at: float
    attached_at: float | None


class NetworkRow(NamedTuple):
    """A row of ``networks``."""

    id: int
    uuid: str
    name: str
    kind: str
    bridge: str
    vlan: int | None
    cidr: str | None
    gateway: str | None
    dns: Sequence[str]
    ranges: Sequence[Sequence[str]]
    created_at: float


class WebhookRow(NamedTuple):
    """A row of ``webhooks``."""

    id: int
    uuid: str
    name: str
    url: str
    secret: str
    events: Sequence[str]
    cursor: int
    attempts: int
    failing_since: float | None
    next_at: float
    claimed_by: str | None
    claimed_until: float
    created_at: float


class AlarmRow(NamedTuple):
    """A row of ``alarms``."""

    id: int
    kind: str
    host: str
    instance_uuid: str
    operation_uuid: str
    message: str
    details: Mapping[str, Any] | None
    raised_at: float
    changed_at: float | None
    cleared_at: float | None


class CopyRow(NamedTuple):
    """A row of ``copies``: one host's word about one instance, ``age_s`` seconds old."""

    host: str
    instance_uuid: str
    state: str
    served: int
    seen_at: float
    stamp_operation: str | None
    stamp_epoch: int | None
    stamp_host: str | None
    believed: bool
    age_s: float
