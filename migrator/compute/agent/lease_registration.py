"""How an agent's self-fencing lease is told to the server, and taken back.

Owns the order of the two: what the server may believe is promised before it is told, and is believed no more only
when it has answered. Never counts time (``lease.py``) and never stops anything (``self_fencing.py``).
"""

import asyncio
import logging
from typing import Any

from migrator.compute.agent.client import ServerClient
from migrator.compute.fencing.lease import Lease
from migrator.compute.journal import Journal
from migrator.errors import IncarnationSuperseded, MigratorError
from migrator.protocol import HostReport

log = logging.getLogger("migrator.agent")

_LAST_WORD_S = 5.0


async def register(
    server: ServerClient, journal: Journal, report: HostReport, lease: Lease | None, *, first: bool = False
) -> None:
    """Put the host's description, with the lease that guards it. Raises as ``ServerClient.register`` does, and OSError
    when the promise cannot be kept on the disk. ``first``: of this agent, whose journal may be older than what the
    server has heard of this host, or lost: it goes on above that. Later it is another agent that took its place."""
    if lease is not None:
        lease.promise()
        report = report.model_copy(update={"self_fencing_lease_s": lease.wanted_s})
    try:
        await server.register(journal.incarnation, report)
    except IncarnationSuperseded as error:
        if not first:
            raise
        journal.raise_incarnation(error.known)
        await server.register(journal.incarnation, report.model_copy(update={"lost": journal.lost}))
    if lease is not None:
        lease.promised(lease.wanted_s)


async def withdraw(
    server: ServerClient, incarnation: int, report: HostReport | None, lease: Lease, tags: dict[str, Any]
) -> bool:
    """Tell the server not to count with the lease, for no process will be here to keep it. False: it still does, or may
    have acted on it already."""
    if not lease.length_s:
        return True
    if report is None or lease.lapsed():
        return False
    try:
        plain = report.model_copy(update={"self_fencing_lease_s": 0.0})
        async with asyncio.timeout(_LAST_WORD_S):
            await server.register(incarnation, plain)
        lease.promised(0)
    except (MigratorError, TimeoutError, OSError) as error:
        log.warning("the lease could not be withdrawn: %s", error, extra=tags)
        return False
    return True
