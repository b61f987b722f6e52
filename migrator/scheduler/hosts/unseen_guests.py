"""A guest that is not where its record has it, and may run on a host that is silent.

A database that was restored from a backup may have lost a move, and the host that the guest went to need not be heard.
Owns which hosts those may be. A guest on local disks alone runs nowhere without them, and a start that does not find
them fails; over storage that several hosts reach, only what they say tells that none of them runs it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from migrator.db import hosts, instances
from migrator.db.engine import Connection
from migrator.db.partial_rows import UnderWayRow
from migrator.db.rows import HostRow
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import InstanceSpec
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.state.loader import host_view, with_fencing
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
    """The hosts that say nothing, as they are at this moment: read once, for any number of instances."""

    def __init__(self, connection: Connection, host: str, settings: ServerSettings) -> None:
        """``host``: the one that has no domain of the instances that are asked about."""
        self._connection = connection
        patience = settings.service_down_time
        views = {row.name: (row, host_view(row, patience)) for row in hosts.every(connection)}
        self._own = views[host][1].report.storage if host in views else {}
        self._silent = {
            name: _identities(view)
            for name, (row, view) in sorted(views.items())
            if name != host and not (_told(row, view) or with_fencing(row, view, settings, 0.0).fenced)
        }

    def perhaps_with(self, uuid: str) -> str:
        """In words, which of them may run the instance; "": none. Of a description that cannot be read, any may."""
        if not self._silent:
            return ""
        spec = _spec(instances.get(self._connection, uuid).spec)
        if spec is None or spec.volumes:
            return _named(list(self._silent))
        own = {pool.identity for name, pool in self._own.items() if name in spec.pools}
        return _named([name for name, reached in self._silent.items() if own & reached])


def _spec(stored: Mapping[str, Any]) -> InstanceSpec | None:
    try:
        return InstanceSpec.model_validate(stored)
    except ValidationError:
        return None


def _named(silent: Sequence[str]) -> str:
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return f"{', '.join(silent[:_NAMED])}{more}"


def _told(row: HostRow, view: HostView) -> bool:
    """Whether the host has said what it has: since servers listen, for what was heard before may be a backup's."""
    return view.speaks and row.silent_s <= row.listening_s


def _identities(view: HostView) -> set[str]:
    return {pool.identity for pool in view.report.storage.values()}
