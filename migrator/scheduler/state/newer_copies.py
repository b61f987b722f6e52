"""Copies that a host changed by an operation which the record does not know: what is said of them, and the alarm.

A database that was restored from a backup may have lost the operation; the guest may run on another host.
"""

from collections.abc import Iterable, Mapping

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, instances, serials
from migrator.db.engine import Connection
from migrator.db.host_domains import HeldCopy
from migrator.db.partial_rows import StampingRow
from migrator.db.rows import CopyRow
from migrator.scheduler.decision.assignments import ever_asked

UNKNOWN_SERIAL = "was changed by an operation that is not in the record"


def raise_if_newer(connection: Connection, uuid: str) -> None:
    """Called where an operation begins, last in its transaction: it waits, too, if a host that is believed has served
    one that the record does not know."""
    for copy in host_domains.of_instance(connection, uuid):
        if copy.believed and serials.unknown(connection, {uuid: copy.served}):
            recorded = instances.get(connection, uuid).host
            message = newer_than(copy.host, copy.state, UNKNOWN_SERIAL, recorded)
            alarms.raise_alarm(connection, AlarmKind.COPY_NEWER, message, host=copy.host, instance_uuid=uuid)


def unknown_served(connection: Connection, host: str, copies: Iterable[HeldCopy]) -> dict[str, str]:
    """Instance -> in words, that the host has served an operation of it that the record has lost, or one that by the
    record has not come to what it asks of this host: a guest may run on another host, which need not be heard."""
    served = {copy.instance_uuid: copy.served for copy in copies if copy.believed and copy.served}
    if not served:
        return {}
    ahead = [one for one in serials.on_first_way(connection, served) if not _asked(one, host)]
    found = {one.instance_uuid: f"was changed by a {one.kind} that the record has in {one.phase!r}" for one in ahead}
    return found | dict.fromkeys(serials.unknown(connection, served), UNKNOWN_SERIAL)


def _asked(operation: serials.FirstWay, host: str) -> bool:
    try:
        return ever_asked(operation, host)
    except (LookupError, ValueError):
        return True  # of another release, whose own servers tell


def is_unknown(copy: HeldCopy | CopyRow, known: Mapping[str, StampingRow]) -> bool:
    """Whether this database knows nothing of the copy's stamp, which a server signed: of its operation, its epoch, or
    of what this epoch had to do with the host that it was signed for. After a restore an operation may come to the same
    epoch a second time, by another way: which of the two is newer is unknown, and the copy is not merely an old one.
    ``known``: ``host_domains.stamping`` of its operation."""
    operation = known.get(copy.stamp_operation or "")
    if operation is None or (copy.stamp_epoch or 0) > operation.epoch:
        return True
    return copy.stamp_epoch == operation.epoch and copy.stamp_host not in (operation.source, operation.destination)


def newer_than(host: str, state: str, newer: str, recorded: str | None) -> str:
    return f"its copy on {host} ({state}) {newer}, which says {recorded}"
