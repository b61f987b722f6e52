"""A guest that is not where its record has it, and may run on a host that does not say what it has.

A database that was restored from a backup may have lost a move, and the host that the guest went to need not be heard.
One that is heard has not said that it has no copy before it has listed its copies: its hypervisor may not answer its
agent. Owns which hosts those may be. A guest on local disks alone runs nowhere without them, and a start that does not
find them fails; over storage that several hosts reach, only what they say tells that none of them runs it.
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
    """The hosts that have not said which copies they have, as they are at this moment: read once, for any number of
    instances."""

    def __init__(self, connection: Connection, host: str, settings: ServerSettings) -> None:
        """``host``: the one that has no domain of the instances that are asked about."""
        self._connection = connection
        patience = settings.service_down_time
        views = {row.name: (row, host_view(row, patience)) for row in hosts.every(connection)}
        self._own = views[host][1].report.storage if host in views else {}
        silent = {
            name: view
            for name, (row, view) in sorted(views.items())
            if name != host and not (_told(row, patience) or with_fencing(row, view, settings, 0.0).fenced)
        }
        self._silent = {name: _identities(view) for name, view in silent.items()}
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
    return row.listed_s is not None and row.listed_s <= min(row.listening_s, patience_s)


def _identities(view: HostView) -> set[str]:
    return {pool.identity for pool in view.report.storage.values()}
