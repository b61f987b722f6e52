"""The verb that lists alarms: what was found wrong, since when, about which host or server, and what to do."""

from collections.abc import Callable, Mapping

from migrator.cli.client import Client, is_uuid
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    Column("Since", "since"),
    Column("Kind", "kind"),
    Column("Host", "host"),
    Column("Server", "instance"),
    Column("Found", "message"),
    Column("What to do", "advice"),
)
_CLEARED = (_COLUMNS[0], Column("Cleared", "cleared_at"), *_COLUMNS[1:])


def _list(client: Client, arguments: Arguments) -> None:
    server = server_id(client, arguments.server) if arguments.server else None
    query = {"host": arguments.host, "instance": server, "kind": arguments.kind}
    rows = client.native("GET", "/alarms", cleared="true" if arguments.cleared else None, **query)["alarms"]
    show_rows(arguments, _CLEARED if arguments.cleared else _COLUMNS, rows)


def server_id(client: Client, name_or_id: str) -> str:
    """An alarm may be about a server that is deleted, or that never was one."""
    return name_or_id if is_uuid(name_or_id) else str(client.server(name_or_id)["id"])


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {"alarms": _list}
