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
_DOWN_COLUMNS = (
    Column("Lost", "lost"),
    Column("Server", "name"),
    Column("ID", "server"),
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


def _capacity(client: Client, arguments: Arguments) -> int:
    discard = "true" if arguments.discard_local_disks else None
    found = client.native("GET", "/capacity", lose=arguments.lose, discard_local_disks=discard)["capacity"]
    show(as_json(found) if arguments.json else capacity_text(found))
    return int(not found["survives"])


def capacity_text(found: Mapping[str, Any]) -> str:
    one = found["lose"] == 1
    lost = "the loss of any host" if one else f"the loss of any {found['lose']} hosts"
    head = f"{found['hosts']} hosts, {found['instances']} servers: "
    if found["survives"]:
        return head + f"{lost} leaves no server down"
    down, of = found["losses_with_instances_down"], found["combinations"]
    lines = [head + f"{down} of {of} losses of {'a host' if one else str(found['lose']) + ' hosts'} leave servers down"]
    shown = found["losses"]
    lines += [f"the worst {len(shown)} of these are shown"] if len(shown) < down else []
    rows = [{**server, "lost": ", ".join(loss["hosts"])} for loss in shown for server in loss["servers"]]
    unnamed = [loss for loss in shown if loss["stay_down"] > len(loss["servers"])]
    lines += [
        f"{', '.join(loss['hosts'])}: {loss['stay_down']}, of which {len(loss['servers'])} are shown"
        for loss in unnamed
    ]
    return "\n".join([*map(printable.escaped, lines), table(_DOWN_COLUMNS, rows)])


def names(text: str | None) -> Sequence[str]:
    """With commas between them."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "capacity": _capacity,
    "what-if": _what_if,
}
