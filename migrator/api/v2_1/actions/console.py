"""os-getConsoleOutput: the newest of what the guest wrote to its console, on whichever host it ran."""

import re
from collections.abc import Mapping
from typing import Any

from migrator.api.routing import ApiRequest
from migrator.api.v2_1.actions import schemas
from migrator.api.v2_1.actions.action import ServerAction, StartedAction
from migrator.db import consoles
from migrator.errors import Conflict

_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f]")  # as Nova: of control characters tabs and ends of lines stay
_DIGITS = 9  # of a number of lines; no log has more


def _show(request: ApiRequest, row: Any, value: Any) -> StartedAction:
    if row.host is None:
        raise Conflict(f"Instance {row.uuid} is not ready")
    with request.services.db.read() as connection:
        log = consoles.log(connection, row.uuid)
    lines = _tail(log, value.get("length"))
    return StartedAction(body={"output": _NO_TEXT.sub("", lines.decode(errors="replace"))})


def _tail(log: bytes, length: int | str | None) -> bytes:
    """The last ``length`` lines, counted as Nova does: what follows the last line's end is one more. None and what is
    negative: all of them."""
    digits = str(length)
    if length is None or digits.startswith("-") or len(digits) > _DIGITS:
        return log
    wanted = int(digits)
    return b"\n".join(log.split(b"\n")[-wanted:]) if wanted else b""


ACTIONS: Mapping[str, ServerAction] = {
    "os-getConsoleOutput": ServerAction(_show, schemas.CONSOLE_OUTPUT, when_locked=True, status=200)
}
