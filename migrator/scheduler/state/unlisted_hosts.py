"""The hosts that have not listed their guests since servers listen: what a backup has under way may have ended on one.

Owns which of them counts for an operation. Read once for any number of operations, and no further than is needed, for
after a break of the servers there may be thousands.
"""

from collections.abc import Iterator
from functools import cached_property

from migrator.db import host_lists, hosts
from migrator.db.engine import Connection
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.state.host_views import host_view, with_fencing
from migrator.settings import ServerSettings

_FEW = 10  # hosts


class UnlistedHosts:
    """As they are at this moment; without those that are fenced, which run nothing.

    Every host counts, also one that shares no storage with the instance (``SilentHosts`` leaves those out): after the
    backup the instance may have been moved there with copies of its disks, and what it had on shared storage is still
    complete until that move is confirmed or cleaned up. An evacuation would start it from that, beside the copy."""

    def __init__(self, connection: Connection, settings: ServerSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._views: list[HostView] = []
        self._rest = self._read()

    def first(self, begun: float, *, only: str | None = None, without: str | None = None) -> HostView | None:
        """For an operation that was ``begun`` then, by the database's clock: the first of them, of the host ``only`` or
        of all but one. None where servers have listened since before it began: it comes out of no backup."""
        if self._listening_since <= begun:
            return None
        return next((view for view in self._each() if view.name != without and only in (None, view.name)), None)

    @cached_property
    def _listening_since(self) -> float:
        return host_lists.listening_since(self._connection)

    def _each(self) -> Iterator[HostView]:
        yield from self._views
        for view in self._rest:
            self._views.append(view)
            yield view

    def _read(self) -> Iterator[HostView]:
        names = host_lists.unlisted(self._connection)
        for first in range(0, len(names), _FEW):
            rows = hosts.by_names(self._connection, names[first : first + _FEW])
            for row in sorted(rows, key=lambda row: row.name):
                view = with_fencing(row, host_view(row, self._settings.service_down_time), self._settings, 0.0)
                if not view.fenced:
                    yield view
