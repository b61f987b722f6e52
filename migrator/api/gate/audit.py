"""The audit: one line of the log for each request that asks for a change, or that is refused: who, of which project,
from where, what, with which result, and which operations came of it; of a credential that was not taken, why.

Owns what the line has. Never says what a body had in it, a token or a password. Requests of agents are no part of it,
and those without any credential are counted by ``process/refusal_log.py``, so that no stranger fills the disk.
"""

import logging
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Scope, Send

from migrator.scheduler.requests.requests import Caller

log = logging.getLogger("migrator.audit")
_READING = ("GET", "HEAD", "OPTIONS")
_REFUSED = (401, 403)
_LONGEST = 255  # characters of what a stranger chose


class Watched:
    """The way of an answer to the client; notes its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0  # none was sent: the client went away

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        await self._send(message)


def note(scope: Scope, status: int, client: str) -> None:
    """Write the line, where the request asks for a change or was refused."""
    state: Mapping[str, Any] = scope["state"]
    caller: Caller | None = state.get("caller")
    reason = state.get("reason") if caller is None else None
    if caller is None and reason is None:
        return
    if reason is None and scope["method"] in _READING and status not in _REFUSED:
        return
    user = (caller.user_id if caller is not None else state["claimed"]) or "(unknown)"
    action = state.get("action")
    path = scope["path"][:_LONGEST]
    told = {
        "user": user[:_LONGEST],
        "project": caller.project_id or None if caller is not None else None,
        "client": client,
        "method": scope["method"],
        "path": path,
        "action": action,
        "status": status,
        "reason": reason,
        "request": state["request_id"],
        "operations": list(caller.operations) or None if caller is not None and status < 400 else None,
    }
    what = f"{scope['method']} {path}{f' ({action})' if action else ''}"
    why = f": {reason}" if reason else ""
    log.info("%s: %d for %s from %s%s", what, status, told["user"], client, why, extra=told)
