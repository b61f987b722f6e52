"""The verb that lists what hosts have that no record knows."""

from collections.abc import Callable, Mapping

from migrator.cli.client import Client
from migrator.cli.output import Arguments, show_rows
from migrator.cli.tables import Column

_COLUMNS = (
    Column("Host", "host"),
    Column("Path", "path"),
    Column("MiB", lambda row: round(row["bytes"] / 1024**2)),
    Column("Unused for", lambda row: f"{row['age_s'] / 3600:.1f} h"),
    Column("What it is", "why"),
    Column("Removed", lambda row: "by its agent" if row["removed"] else "by you, if no instance needs it"),
)


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _COLUMNS, client.pages("/leftovers", "leftovers", host=arguments.host))


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {"leftovers": _list}
