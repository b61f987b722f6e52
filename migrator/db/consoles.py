"""What guests wrote to their consoles: a row for each stay on a host, in the order of the stays.

Owns that the bytes of all stays together are one piece of the log without a hole, its newest ``CONSOLE_BYTES``, and
that bytes which are told twice are there once.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, delete, select, update

from migrator.db.partial_rows import StayRow
from migrator.db.tables import console_logs
from migrator.protocol import CONSOLE_BYTES, ConsolePiece

_ORDER = console_logs.c.place


def tell(connection: Connection, host: str, piece: ConsolePiece, *, here: bool) -> None:
    """Add what ``host`` tells, behind what it told before. ``here``: the guest runs there, so that an earlier stay is
    over when another host had it since; else these are the last bytes of the host's newest stay. The caller has locked
    the instance."""
    rows = stays(connection, piece.instance)
    mine = next((row for row in reversed(rows) if row.host == host), None)
    known = mine.told if mine is not None and mine.file == piece.file and mine.told <= piece.size else 0
    content = piece.content
    fresh, told = content[max(0, known - piece.start) :], max(known, piece.start + len(content))
    again = mine is not None and here and mine is not rows[-1]
    if not fresh and (mine is None or again):
        return
    if piece.start > known:  # a hole: the bytes before it are no part of the newest
        _keep(connection, [row for row in rows if mine is None or again or row.place <= mine.place], 0)
    if mine is None or again:
        place = 0 if not rows else rows[-1].place + 1 if here else rows[0].place - 1
        row = {"instance_uuid": piece.instance, "place": place, "host": host}
        connection.execute(console_logs.insert().values(file=piece.file, told=told, content=fresh, **row))
    else:
        before = b"" if piece.start > known else mine.content
        _change(connection, mine, {"file": piece.file, "told": told, "content": before + fresh})
    _keep(connection, stays(connection, piece.instance), CONSOLE_BYTES)


def told_by(connection: Connection, instance_uuid: str, host: str) -> bool:
    """Whether the host told anything of the instance's console."""
    query = select(console_logs.c.id).where(console_logs.c.instance_uuid == instance_uuid, console_logs.c.host == host)
    return connection.execute(query.limit(1)).first() is not None


def log(connection: Connection, instance_uuid: str) -> bytes:
    """The newest bytes, at most ``CONSOLE_BYTES``."""
    return b"".join(row.content for row in stays(connection, instance_uuid))


def remove(connection: Connection, instance_uuid: str) -> None:
    connection.execute(delete(console_logs).where(console_logs.c.instance_uuid == instance_uuid))


def stays(connection: Connection, instance_uuid: str) -> Sequence[StayRow]:
    query = select(console_logs).where(console_logs.c.instance_uuid == instance_uuid).order_by(_ORDER)
    return cast(Sequence[StayRow], connection.execute(query).all())


def _keep(connection: Connection, rows: Sequence[StayRow], most: int) -> None:
    """Of these rows' bytes the newest ``most``. An empty row stays as long as it is its host's newest, for it says how
    much of the host's file is known."""
    over = sum(len(row.content) for row in rows) - most
    for number, row in enumerate(rows):
        cut = min(max(over, 0), len(row.content))
        over -= cut
        if cut == len(row.content) and any(later.host == row.host for later in rows[number + 1 :]):
            connection.execute(delete(console_logs).where(console_logs.c.id == row.id))
        elif cut:
            _change(connection, row, {"content": row.content[cut:]})


def _change(connection: Connection, row: StayRow, values: dict[str, Any]) -> None:
    connection.execute(update(console_logs).where(console_logs.c.id == row.id).values(**values))
