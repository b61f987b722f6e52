"""Verbs for webhooks: receivers that are told of events."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from migrator.cli.client import Client, pick
from migrator.cli.output import Arguments, show_one, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    Column("ID", "id"),
    Column("Name", "name"),
    Column("URL", "url"),
    Column("Events", lambda row: ", ".join(row["events"]) or "all"),
    Column("Behind", "behind"),
    Column("Failing since", "failing_since"),
    Column("Next attempt", "next_at"),
)
_DELIVERIES = (
    Column("Event", "event_id"),
    Column("Name", "event_name"),
    Column("State", "state"),
    Column("Attempts", "attempts"),
    Column("Answer", "status"),
    Column("Last", "last_at"),
    Column("Error", "error"),
)


def _every(client: Client) -> list[dict[str, Any]]:
    return list(client.native("GET", "/webhooks")["webhooks"])


def _path(client: Client, name_or_id: str) -> str:
    return f"/webhooks/{quote(str(pick('webhook', name_or_id, _every(client))['id']), safe='')}"


def _create(client: Client, arguments: Arguments) -> None:
    wanted = {"name": arguments.name, "url": arguments.receiver, "events": arguments.event}
    made = client.native("POST", "/webhooks", {"webhook": wanted})["webhook"]
    show_one(arguments, made, made)


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _COLUMNS, _every(client))


def _delete(client: Client, arguments: Arguments) -> None:
    for name in arguments.webhook:
        client.native("DELETE", _path(client, name))


def _deliveries(client: Client, arguments: Arguments) -> None:
    path = f"{_path(client, arguments.webhook)}/deliveries"
    found = client.native("GET", path, state=arguments.state, limit=arguments.limit)["deliveries"]
    show_rows(arguments, _DELIVERIES, found)


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "webhook-create": _create,
    "webhook-list": _list,
    "webhook-delete": _delete,
    "webhook-deliveries": _deliveries,
}
