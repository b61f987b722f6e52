"""What the demo prints: progress while it works, and at the end what happened. Reads, never acts."""

from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table

from migrator.demo.stage import Stage
from migrator.demo.story import Move

_MIB = 1024 * 1024


class Teller:
    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._moving = ""

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)

    def step(self, line: str) -> None:
        self.say(f"  - {line}")

    def watch(self, name: str, progress: dict[str, Any] | None) -> None:
        """One line a change while a move is under way (``progress``: its operation); None ends it."""
        line = "" if progress is None else _progress(progress)
        if line and line != self._moving:
            self.say(f"      {name}: {line}")
        self._moving = line

    def summary(self, where: Stage, moves: list[Move], wall_s: float) -> None:
        label = "SIMULATED hosts" if where.simulated else "real hosts"
        self.say(f"\nmigration-list ({label})")
        self._console.print(_migrations(where.cloud.migrations()))
        for move in moves:
            self.say(f"\ntimeline of migration {move.operation}: {move.name}, {move.source} -> {move.destination}")
            for event in where.cloud.timeline(move.operation):
                self.say(f"  {event['offset_ms']:>6} ms  {event['host'] or '-':<12} {event['message']}")
        self.say("")
        self._console.print(_measured(moves))
        self.say(f"took {wall_s:.0f} s in all")

    def how_to_go_on(self, where: Stage) -> None:
        self.say(f"\nEverything is left running at {where.url}. Try:")
        for line in ("migrator list", "migrator live-migration --poll shared-1", "migrator migration-list"):
            self.say(f"  MIGRATOR_URL={where.url}/v2.1 .venv/bin/{line}")
        self.say("Stop it with:")
        for line in where.stop_hint:
            self.say(f"  {'.venv/bin/' if line.startswith('migrator ') else ''}{line}")


def _progress(operation: dict[str, Any]) -> str:
    counted = operation["progress"]
    if not counted:
        return str(operation["status"])
    done, left = (
        sum(counted.get(f"{part}_{what}_bytes") or 0 for part in ("memory", "disk"))
        for what in ("processed", "remaining")
    )
    return f"{operation['status']}, {done / _MIB:.0f} MiB done, {left / _MIB:.0f} MiB to go"


def _migrations(entries: list[dict[str, Any]]) -> Table:
    table = Table("Id", "Source", "Dest", "Type", "Status", "Created At")
    for entry in entries:
        table.add_row(
            str(entry["id"]),
            entry["source_compute"],
            entry["dest_compute"] or "-",
            entry["migration_type"],
            entry["status"],
            entry["created_at"],
        )
    return table


def _measured(moves: list[Move]) -> Table:
    columns = ("Instance", "Move", "Status", "Total", "Out of service", "Gap in ticks", "Disk")
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1))
    for move in moves:
        table.add_row(
            move.name,
            move.migration_type,
            move.status,
            f"{move.total_ms} ms",
            _ms(move.downtime_ms),
            _ms(move.guest_gap_ms),
            _disk(move),
        )
    return table


def _disk(move: Move) -> str:
    """As the guest read it before and after."""
    if move.disk_checksum_after is None:
        return "-"
    return "same" if move.disk_checksum_before == move.disk_checksum_after else "CHANGED"


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value} ms"
