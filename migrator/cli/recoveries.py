"""Verbs about recoveries: evacuations of lost hosts that the servers began on their own. Only shows."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from migrator.cli import drains
from migrator.cli.client import Client
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    *(column for column in drains.DRAIN_COLUMNS if column.title != "Kind"),
    Column("Evidence", lambda row: row["evidence"]["words"]),
)


def _list(client: Client, arguments: Arguments) -> None:
    active = None if arguments.all else "true"
    query = {"host": arguments.host, "active": active, "limit": arguments.limit}
    show_rows(arguments, _COLUMNS, client.native("GET", "/recoveries", **query)["recoveries"])


def _recovery(client: Client, ident: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = client.native("GET", f"/recoveries/{ident}")["recovery"]
    return found


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "recovery-list": _list,
    "recovery-show": partial(drains.show_one, get=_recovery),
}
