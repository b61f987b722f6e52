"""Verbs about hosts that might be lost: what would become of their servers. They change nothing.

A verb ends with 1 where a server would stay down.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrator.cli.client import Client
from migrator.cli.output import Arguments, show
from migrator.cli.tables import Column, as_json, table
from migrator.errors import BadRequest
from migrator.untrusted import printable


def _then(row: Mapping[str, Any]) -> str:
    return f"restarted on {row['destination']}" if row["destination"] else "stays down"


def _disks(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{disk['target']} (pool {disk['pool']})" for disk in row["lost_disks"]) or "-"


def _why(row: Mapping[str, Any]) -> str:
    return "; ".join(str(row[name]) for name in ("why", "remedy") if row.get(name)) or "-"


_COLUMNS = (
    Column("Server", "name"),
    Column("ID", "server"),
    Column("Host", "source"),
    Column("Then", _then),
    Column("Data Lost", _disks),
    Column("Why", _why),
)


def _what_if(client: Client, arguments: Arguments) -> int:
    lose = names(arguments.lose)
    if not lose:
        raise BadRequest("--lose names no host", advice="name one or more, with commas between them: --lose n3,n4")
    discard = "true" if arguments.discard_local_disks else None
    found = client.native("GET", "/what-if", lose=lose, discard_local_disks=discard)["what_if"]
    show(as_json(found) if arguments.json else what_if_text(found))
    return int(found["stay_down"] > 0)


def what_if_text(found: Mapping[str, Any]) -> str:
    lines = [f"{found['restarted']} restarted, {found['stay_down']} stay down, if {', '.join(found['lose'])} is lost"]
    lines += [f"on their way there: {', '.join(found['arriving'])}"] if found["arriving"] else []
    return "\n".join([*map(printable.escaped, lines), table(_COLUMNS, found["moves"])])


def names(text: str | None) -> Sequence[str]:
    """With commas between them."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "what-if": _what_if,
}
