"""A guest that is not where its record has it, and may run on a host that is silent.

A database that was restored from a backup may have lost a move, and the host that the guest went to need not be heard.
Owns which hosts those may be. A guest on local disks alone runs nowhere without them, and a start that does not find
them fails; over storage that several hosts reach, only what they say tells that none of them runs it.
"""

from typing import Any

from migrator.db import hosts, instances
from migrator.db.engine import Connection
from migrator.operations import OPERATIONS, Kind
from migrator.protocol import InstanceSpec
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.state.loader import host_view, with_fencing
from migrator.settings import ServerSettings

_NAMED = 5


def keeps_its_domain(operation: Any) -> bool:
    """Whether the instance's domain stays defined on its host while this operation is under way, a row of
    ``host_domains.under_way``: a list of copies without it is then not merely old."""
    try:
        table = OPERATIONS[Kind(operation.kind)]
    except ValueError:
        return False
    return not table.moves and table.kind not in (Kind.BUILD, Kind.DELETE)


def perhaps_on(connection: Connection, uuid: str, host: str, settings: ServerSettings) -> str:
    """In words, which silent hosts may run the instance, whose ``host`` has no domain of it; "": none."""
    spec = InstanceSpec.model_validate(instances.get(connection, uuid).spec)
    rows = {row.name: row for row in hosts.every(connection)}
    views = {name: with_fencing(r, host_view(r, settings.service_down_time), settings, 0.0) for name, r in rows.items()}
    pools = views[host].report.storage.items() if host in views else ()
    own = {pool.identity for name, pool in pools if name in spec.pools}
    silent = [
        name
        for name, view in sorted(views.items())
        if name != host and not (_told(rows[name], view) or view.fenced) and (spec.volumes or own & _identities(view))
    ]
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return f"{', '.join(silent[:_NAMED])}{more}" if silent else ""


def _told(row: Any, view: HostView) -> bool:
    """Whether the host has said what it has: since servers listen, for what was heard before may be a backup's."""
    return view.speaks and row.silent_s <= row.listening_s


def _identities(view: HostView) -> set[str]:
    return {pool.identity for pool in view.report.storage.values()}
