"""Verbs for disks that hosts keep aside: list them, put them back, drop them."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.cli import follow
from migrator.cli.client import Client, is_uuid
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column
from migrator.errors import BadRequest, Conflict, NotFound

_COLUMNS = (
    Column("Host", "host"),
    Column("Server", "instance"),
    Column("Kept by operation", "operation"),
    Column("Pool", "pool"),
    Column("Files", lambda row: ", ".join(row["files"])),
    Column("MiB", lambda row: round(row["bytes"] / 1024**2)),
    Column("Kept for", lambda row: f"{row['age_s'] / 3600:.1f} h"),
    Column("Left", lambda row: f"{row['left_s'] / 3600:.1f} h"),
)


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _COLUMNS, client.pages("/kept-disks", "kept_disks", host=arguments.host))


def _path(client: Client, arguments: Arguments) -> str:
    """Of the kept disks that are named; of a server that has them once, no operation need be."""
    server = arguments.server if is_uuid(arguments.server) else str(client.server(arguments.server)["id"])
    kept = {row["operation"] for row in client.pages("/kept-disks", "kept_disks") if row["instance"] == server}
    if arguments.operation is None and len(kept) > 1:
        raise Conflict(
            f"disks of {arguments.server} are kept {len(kept)} times", advice=f"name one of {', '.join(sorted(kept))}"
        )
    operation = arguments.operation or next(iter(kept), None)
    if operation is None:
        raise NotFound(f"no host keeps disks of {arguments.server}", advice="see `migrator kept-disks`")
    if not is_uuid(operation):
        raise BadRequest(f"{operation} is not an operation's UUID", advice="see `migrator kept-disks`")
    return f"/kept-disks/{server}/{operation}"


def _restore(client: Client, arguments: Arguments) -> int:
    path = _path(client, arguments)
    server: dict[str, Any] = client.server(arguments.server)
    after = follow.newest(client, server["id"]) if arguments.poll else 0
    client.native("POST", f"{path}/restore")
    if not arguments.poll:
        return 0
    return follow.until_over(client, server["id"], "kept-disks-restore", after, f"restoring {arguments.server}")


def _drop(client: Client, arguments: Arguments) -> None:
    client.native("DELETE", _path(client, arguments))


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "kept-disks": _list,
    "kept-disks-restore": _restore,
    "kept-disks-drop": _drop,
}
