"""A guest that is not where its record has it, and may run on a host that does not say what it has.

A database that was restored from a backup may have lost a move, and the host that the guest went to need not be heard.
One that is heard has not said that it has no copy before it has listed its copies: its hypervisor may not answer its
agent. Owns which hosts those may be, and the end of the alarm. A guest on local disks alone runs nowhere without them,
and a start that does not find them fails; over storage that several hosts reach, only what they say tells that none of
them runs it. A host that no operator approved was given no guest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from migrator.alarms import AlarmKind
from migrator.db import alarms, host_domains, hosts, instances
from migrator.db.engine import Connection, Database
from migrator.db.partial_rows import UnderWayRow
from migrator.db.rows import HostRow, InstanceRow
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import HostReport, InstanceSpec
from migrator.scheduler.state.host_views import has_listed, host_view, report_of, with_fencing
from migrator.settings import ServerSettings

_NAMED = 5
LISTING_S = 30.0  # an agent lists its copies with a poll every 10 s: within three of them it has


def keeps_its_domain(operation: UnderWayRow) -> bool:
    """Whether the instance's domain stays defined on its host while this operation is under way: a
    list of copies without it is then not merely old."""
    try:
        table = OPERATIONS[Kind(operation.kind)]
    except ValueError:
        return False
    return not table.moves and not (table.builds or table.deletes)


class SilentHosts:
    """The hosts that have not said which copies they have, as they were when they were read: once, for any number of
    instances, and before a transaction that writes, for they may be many."""

    def __init__(self, connection: Connection, settings: ServerSettings) -> None:
        down_after = settings.service_down_time
        self._rows = {row.name: row for row in hosts.every(connection)}
        untold = [
            row for row in self._rows.values() if row.approved and not _has_listed(row, max(down_after, LISTING_S))
        ]
        views = [with_fencing(row, host_view(row, down_after), settings, 0.0) for row in untold]
        self._silent = {view.name: _identities(view.report) for view in views if not view.fenced}
        self._heard = {view.name for view in views if view.heard}

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._silent)

    def perhaps_with(self, stored: Mapping[str, Any], host: str) -> str:
        """In words, which of them may run the instance, and why that is unknown; "": none. ``stored``: its spec: of one
        that cannot be read, any may; ``host``: has no domain of it."""
        others = {name: reached for name, reached in self._silent.items() if name != host}
        spec = _spec(stored) if others else None
        if spec is None or spec.volumes:
            return self._described(list(others))
        storage = report_of(self._rows[host])[0].storage if host in self._rows else {}
        own = {pool.identity for name, pool in storage.items() if name in spec.pools}
        return self._described([name for name, reached in others.items() if own & reached])

    def _described(self, names: Sequence[str]) -> str:
        if not names:
            return ""
        why = "has not listed its guests" if self._heard.intersection(names) else "is silent"
        return f"{_named(names)}, which {why}"


def raise_if_unseen(connection: Connection, host: HostRow, instance: InstanceRow, silent: SilentHosts) -> None:
    """Called where an operation begins that takes a lost host's word for nothing, last in its transaction: it waits if
    nothing shows that the instance is where its record has it, and another host may run it. ``host``: the recorded one,
    which is not heard. Where that host lists its copies, the audit raises the alarm."""
    if _has(connection, host, instance.uuid):
        return
    message = silent.perhaps_with(instance.spec, host.name)
    if message:
        said = f"its record says {host.name}, which has not said so since the servers are back; it may run on {message}"
        alarms.raise_alarm(connection, AlarmKind.GUEST_UNSEEN, said, host=host.name, instance_uuid=instance.uuid)


def review(db: Database, settings: ServerSettings) -> None:
    """End the alarm of each guest that no host is left for which may run it: one of them has listed its copies, was
    fenced or was removed. The host that the record names need not be heard for that."""
    with db.read() as connection:
        if not _open(connection):
            return
        silent = SilentHosts(connection, settings)
    with db.write() as connection:
        for row in sorted(_open(connection), key=lambda row: (row.host, row.instance_uuid)):
            if _is_over(connection, row.host, row.instance_uuid, silent):
                alarms.clear_alarm(connection, AlarmKind.GUEST_UNSEEN, host=row.host, instance_uuid=row.instance_uuid)


def _open(connection: Connection) -> Sequence[Any]:
    return alarms.listed(connection, kinds=[AlarmKind.GUEST_UNSEEN.value])


def _is_over(connection: Connection, host: str, uuid: str, silent: SilentHosts) -> bool:
    record = instances.get(connection, uuid, deleted=True)
    if record.deleted or record.host != host:
        return True
    found = hosts.by_names(connection, [host])
    return any(_has(connection, row, uuid) for row in found) or not silent.perhaps_with(record.spec, host)


def _has(connection: Connection, host: HostRow, uuid: str) -> bool:
    """Whether the host has said that it has the instance, since servers listen."""
    return has_listed(host) and any(copy.host == host.name for copy in host_domains.of_instance(connection, uuid))


def is_first_list(connection: Connection, host: str) -> bool:
    """Whether the host has listed no copies before since the servers are back. Until then it was not asked to delete
    any: one that it lacks was gone before."""
    return any(not has_listed(row) for row in hosts.by_names(connection, [host]))


def _spec(stored: Mapping[str, Any]) -> InstanceSpec | None:
    try:
        return InstanceSpec.model_validate(stored)
    except ValidationError:
        return None


def _named(silent: Sequence[str]) -> str:
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return f"{', '.join(silent[:_NAMED])}{more}"


def _has_listed(row: HostRow, patience_s: float) -> bool:
    """Whether the host has said what it has: lately, and since servers listen, for an older list may be a backup's."""
    return has_listed(row) and (row.listed_s or 0.0) <= patience_s


def _identities(report: HostReport) -> set[str]:
    return {pool.identity for pool in report.storage.values()}
