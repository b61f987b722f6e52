"""How an agent's self-fencing lease is told to the server, and taken back.

Owns the order of the two: what the server may believe is promised before it is told, and is believed no more only
when it has answered. Never counts time (``lease.py``) and never stops anything (``self_fencing.py``).
"""

import asyncio
import logging
from typing import Any

from migrator.compute.client import ServerClient
from migrator.compute.lease import Lease
from migrator.errors import MigratorError
from migrator.protocol import HostReport

log = logging.getLogger("migrator.agent")

_LAST_WORD_S = 5.0


async def register(server: ServerClient, incarnation: int, report: HostReport, lease: Lease | None) -> None:
    """Put the host's description, with the lease that guards it. Raises as ``ServerClient.register`` does, and
    OSError when the promise cannot be kept on the disk."""
    if lease is None:
        await server.register(incarnation, report)
        return
    lease.promise()
    await server.register(incarnation, report.model_copy(update={"self_fencing_lease_s": lease.wanted_s}))
    lease.promised(lease.wanted_s)


async def withdraw(
    server: ServerClient, incarnation: int, report: HostReport | None, lease: Lease, tags: dict[str, Any]
) -> bool:
    """Tell the server not to count with the lease, for nobody will be here to keep it. False: it still does, or may
    have acted on it already."""
    if not lease.length_s:
        return True
    if report is None or lease.lapsed():
        return False
    try:
        plain = report.model_copy(update={"self_fencing_lease_s": 0.0})
        await asyncio.wait_for(server.register(incarnation, plain), _LAST_WORD_S)
        lease.promised(0)
    except (MigratorError, TimeoutError, OSError) as error:
        log.warning("the lease could not be withdrawn: %s", error, extra=tags)
        return False
    return True
