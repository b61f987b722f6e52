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
from migrator.db import alarms, host_domains, hosts, instances, operations
from migrator.db.engine import Connection
from migrator.db.partial_rows import UnderWayRow
from migrator.db.rows import HostRow
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import InstanceSpec
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.state.loader import has_listed, host_view, with_fencing
from migrator.settings import ServerSettings

_NAMED = 5


def keeps_its_domain(operation: UnderWayRow) -> bool:
    """Whether the instance's domain stays defined on its host while this operation is under way: a
    list of copies without it is then not merely old."""
    try:
        table = OPERATIONS[Kind(operation.kind)]
    except ValueError:
        return False
    return not table.moves and table.kind not in (Kind.BUILD, Kind.DELETE)


class SilentHosts:
    """The hosts that have not said which copies they have, as they are at this moment: read once, for any number of
    instances."""

    def __init__(self, connection: Connection, host: str, settings: ServerSettings) -> None:
        """``host``: the one that has no domain of the instances that are asked about; "" for none."""
        self._connection = connection
        patience = settings.service_down_time
        views = {row.name: (row, host_view(row, patience)) for row in hosts.every(connection)}
        self._own = views[host][1].report.storage if host in views else {}
        silent = {
            name: view
            for name, (row, view) in sorted(views.items())
            if name != host and row.approved
            if not (_told(row, patience) or with_fencing(row, view, settings, 0.0).fenced)
        }
        self._silent = {name: _identities(view) for name, view in silent.items()}
        self.names = tuple(silent)
        self._heard = {name for name, view in silent.items() if view.heard}

    def perhaps_with(self, uuid: str) -> str:
        """In words, which of them may run the instance, and why that is unknown; "": none. Of a description that cannot
        be read, any may."""
        if not self._silent:
            return ""
        spec = _spec(instances.get(self._connection, uuid).spec)
        if spec is None or spec.volumes:
            return self._described(list(self._silent))
        own = {pool.identity for name, pool in self._own.items() if name in spec.pools}
        return self._described([name for name, reached in self._silent.items() if own & reached])

    def _described(self, names: Sequence[str]) -> str:
        if not names:
            return ""
        why = "has not listed its guests" if self._heard.intersection(names) else "is silent"
        return f"{_named(names)}, which {why}"


def raise_if_unseen(connection: Connection, host: HostRow, uuid: str, settings: ServerSettings) -> None:
    """Called where an operation begins that takes a lost host's word for nothing, last in its transaction: it waits if
    nothing shows that the instance is where its record has it, and another host may run it. ``host``: the recorded one,
    which is not heard. Where that host lists its copies, the audit raises the alarm."""
    if _has(connection, host, uuid):
        return
    words = SilentHosts(connection, host.name, settings).perhaps_with(uuid)
    if words:
        said = f"its record says {host.name}, which has not said so since the servers are back; it may run on {words}"
        alarms.raise_alarm(connection, AlarmKind.GUEST_UNSEEN, said, host=host.name, instance_uuid=uuid)


def raise_for_evacuations(connection: Connection, settings: ServerSettings) -> None:
    """The same for those that were under way when the servers came back: a backup may have lost how they ended."""
    under_way = operations.holding(connection, Kind.EVACUATION.value)
    rows = {row.name: row for row in hosts.by_names(connection, {one.source for one in under_way if one.source})}
    for one in sorted(under_way, key=lambda one: (one.source or "", one.instance_uuid)):
        host = rows.get(one.source or "")
        if host is not None and not has_listed(host) and instances.get(connection, one.instance_uuid).host == host.name:
            raise_if_unseen(connection, host, one.instance_uuid, settings)


def review(connection: Connection, settings: ServerSettings) -> None:
    """End the alarm of each guest that no host is left for which may run it: one of them has listed its copies, was
    fenced or was removed. The host that the record names need not be heard for that."""
    silent: dict[str, SilentHosts] = {}
    for row in sorted(_open(connection), key=lambda row: (row.host, row.instance_uuid)):
        if row.host not in silent:
            silent[row.host] = SilentHosts(connection, row.host, settings)
        if _is_over(connection, row.host, row.instance_uuid, silent[row.host]):
            alarms.clear_alarm(connection, AlarmKind.GUEST_UNSEEN, host=row.host, instance_uuid=row.instance_uuid)


def _open(connection: Connection) -> Sequence[Any]:
    return alarms.listed(connection, kinds=[AlarmKind.GUEST_UNSEEN.value])


def any_unseen(connection: Connection) -> bool:
    """Whether there is anything to review, or to raise."""
    return bool(_open(connection)) or bool(operations.holding(connection, Kind.EVACUATION.value))


def _is_over(connection: Connection, host: str, uuid: str, silent: SilentHosts) -> bool:
    record = instances.get(connection, uuid, deleted=True)
    if record.deleted or record.host != host:
        return True
    found = hosts.by_names(connection, [host])
    return any(_has(connection, row, uuid) for row in found) or not silent.perhaps_with(uuid)


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


def _told(row: HostRow, patience_s: float) -> bool:
    """Whether the host has said what it has: lately, and since servers listen, for an older list may be a backup's."""
    return has_listed(row) and (row.listed_s or 0.0) <= patience_s


def _identities(view: HostView) -> set[str]:
    return {pool.identity for pool in view.report.storage.values()}
