"""An operator's word that a host may take instances, and how many of its resources they may be given.

Owns what that word changes. Whether new hosts need it is the setting ``approve_new_hosts``; that a host without it gets
no instance is seen to where a claim is taken (``db/claims.py``).
"""

import logging

from migrator.capacity import Limits
from migrator.db import events, hosts, registrations
from migrator.db.engine import Database
from migrator.errors import Conflict
from migrator.event_types import EventType
from migrator.scheduler.state import host_views

log = logging.getLogger(__name__)


def approve(db: Database, host: str, limits: Limits, by: str) -> None:
    """``limits`` take the place of earlier ones. Raises HostNotFound, and Conflict for one whose description cannot
    be read."""
    with db.write() as connection:
        hosts.lock(connection, [host])
        report, unreadable = host_views.report_of(hosts.get(connection, host))
        if unreadable:
            raise Conflict(f"Host {host} cannot be approved: {unreadable}")
        registrations.approve(connection, host, report, limits)
        most = ", ".join(f"{name} {value}" for name, value in sorted(limits.items())) or "no limits"
        message = f"{by} approved host {host} with {most}"
        events.add(connection, EventType.HOST_APPROVED, message, host=host)
    log.info("%s", message, extra={"host": host})
