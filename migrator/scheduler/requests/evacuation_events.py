"""What an evacuation's timeline says of its beginning: the evidence, and what becomes of each disk. Decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.db import events
from migrator.db.engine import Connection
from migrator.db.rows import HostRow
from migrator.event_types import EventType
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.state import fencing
from migrator.scheduler.state.host_views import host_view
from migrator.settings import ServerSettings


def note_evidence(
    connection: Connection, operation_id: int, uuid: str, source: HostRow, settings: ServerSettings
) -> None:
    found = fencing.evidence(source, settings)
    if found is not None:
        message = found.message
    elif host_view(source, settings.service_down_time).heard:
        message = "none; its agent answers, and stops the guest before another copy starts"
    else:
        message = f"none yet; the fence command will be run for {source.name}"
    events.add(
        connection,
        EventType.FENCING_EVIDENCE,
        f"evidence that {source.name} runs nothing: {message}",
        operation_id=operation_id,
        instance_uuid=uuid,
        host=source.name,
        epoch=1,
        details={"kind": found.kind, "by": found.by, "at": found.at} if found is not None else None,
    )


def note_disks(connection: Connection, operation_id: int, uuid: str, disks: Sequence[Mapping[str, Any]]) -> None:
    if disks:
        message = evacuated_disks.describe(disks)
        details = {"disks": list(disks)}
        known: dict[str, Any] = {"operation_id": operation_id, "instance_uuid": uuid, "epoch": 1, "details": details}
        events.add(connection, EventType.DISKS_DECIDED, message, **known)
