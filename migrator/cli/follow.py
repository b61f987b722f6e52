"""``--poll``: watches one operation until it ends, with a bar of bytes, rate and remaining time on stderr.

Only looks: interrupting it leaves the operation going on.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from migrator.cli.client import Client
from migrator.cli.output import fail, say, show
from migrator.cli.tables import size
from migrator.untrusted import printable

_PAUSE_S = 0.25
_WELL = frozenset({"completed", "confirmed"})
_PARTS = ("memory", "disk")


def newest(client: Client, server_id: str) -> int:
    """The id of the server's newest operation, 0 when it has none."""
    found = client.native("GET", "/operations", instance=server_id, limit=1)["operations"]
    return int(found[0]["id"]) if found else 0


def until_over(client: Client, server_id: str, kind: str, after: int, what: str) -> int:
    """Watch the first operation of ``kind`` newer than ``after``; 0 when it went well, 1 when not."""
    message = ("{task.description}", "{task.fields[line]}")  # no markup: it is others' text
    first, last = (TextColumn(template, markup=False) for template in message)
    meter = _Meter()
    console = Console(stderr=True)
    with Progress(
        first, BarColumn(), last, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(printable.escaped(what), total=100, line="")
        while True:
            operation = _find(client, server_id, kind, after)
            if operation is not None and (well := outcome(operation)) is not None:
                break
            _draw(progress, task, meter, client, server_id, operation)
            time.sleep(_PAUSE_S)
    if well:
        say("Finished")
        return 0
    fail(f"Failed: {reason(operation)}")
    return 1


def until_verified(client: Client, server_id: str, kind: str, after: int, doing: str) -> int:
    """Watch a cold move as nova does, in nova's words; 0 when it waits to be confirmed or is, 1 when it was undone."""
    line, percent = _Line(doing), 0
    while True:
        operation = _find(client, server_id, kind, after)
        well = outcome(operation) if operation is not None else None
        if operation is not None and well is not None:
            break
        server = client.compute("GET", f"/servers/{server_id}")["server"]
        # The server may be past what the operation was a moment ago, and has no progress then.
        percent = max(percent, server.get("progress") or 0)
        line.show(percent, _trouble(operation))
        time.sleep(_PAUSE_S)
    if well:
        line.show(100)
        show("\nFinished")
        return 0
    show("")
    say(f"Error {doing} server")
    fail(f"Failed: {reason(operation)}")
    return 1


def outcome(operation: Mapping[str, Any]) -> bool | None:
    """Whether it went well, as soon as the caller need not wait any more; None while it is under way."""
    if operation["finished_at"]:
        return operation["status"] in _WELL
    if not operation["holds"]:  # a host has yet to clean up, which is nothing to wait for
        return bool(operation["forward"])
    return True if operation["phase"] == "verify" and operation["forward"] else None


def reason(operation: Mapping[str, Any]) -> str:
    """Why it failed or turned back, in words."""
    return str((operation["error"] or {}).get("message") or operation["status"])


def _trouble(operation: Mapping[str, Any] | None) -> str:
    if operation is None or operation["forward"]:
        return (operation or {}).get("waiting") or ""
    return operation["waiting"] or f"going back: {reason(operation)}"


class _Line:
    """nova's one line of progress, written again when it has something else to say."""

    def __init__(self, doing: str) -> None:
        self._doing, self._last = doing, ""

    def show(self, percent: int, trouble: str = "") -> None:
        text = f"Server {self._doing}... {percent}% complete" + (f" ({trouble})" if trouble else "")
        text = printable.escaped(text)
        if text != self._last:
            sys.stdout.write("\r" + text.ljust(len(self._last)))
            sys.stdout.flush()
            self._last = text


def _find(client: Client, server_id: str, kind: str, after: int) -> dict[str, Any] | None:
    """The operation may not exist yet: a delete waits its turn behind what is under way."""
    found = client.native("GET", "/operations", instance=server_id, limit=20)["operations"]
    ours = [row for row in found if row["kind"] == kind and int(row["id"]) > after]
    return dict(ours[-1]) if ours else None


def _draw(
    progress: Progress,
    task: TaskID,
    meter: "_Meter",
    client: Client,
    server_id: str,
    operation: Mapping[str, Any] | None,
) -> None:
    if operation is None:
        progress.update(task, line="waits for the operation before it")
        return
    line = operation["waiting"] or operation["phase"] or ""
    if operation["kind"] == "live-migration":
        moving = client.compute("GET", f"/servers/{server_id}/migrations")["migrations"]
        if moving and meter.read(moving[0], time.monotonic()):
            progress.update(task, completed=meter.percent)
            line = operation["waiting"] or meter.line()
    progress.update(task, line=printable.escaped(line))


class _Meter:
    """Bytes, rate and remaining time of a transfer, from one look to the next."""

    def __init__(self) -> None:
        self.total = self.done = self.remaining = 0
        self.rate = 0.0
        self._at: float | None = None

    def read(self, migration: Mapping[str, Any], now: float) -> bool:
        """Take a look in; False while nothing is counted yet."""
        if migration.get("memory_total_bytes") is None:
            return False
        total, done, remaining = (
            sum(migration.get(f"{part}_{what}_bytes") or 0 for part in _PARTS)
            for what in ("total", "processed", "remaining")
        )
        if self._at is not None and now > self._at:
            measured = max(0, done - self.done) / (now - self._at)
            self.rate = measured if not self.rate else 0.6 * self.rate + 0.4 * measured
        self.total, self.done, self.remaining, self._at = total, done, remaining, now
        return total > 0

    @property
    def percent(self) -> float:
        return 100 * (1 - self.remaining / self.total) if self.total else 0.0

    def line(self) -> str:
        left = f"{self.remaining / self.rate:.0f} s left" if self.rate else "-"
        return f"{size(self.done)} of {size(self.total)}, {size(self.rate)}/s, {left}"
