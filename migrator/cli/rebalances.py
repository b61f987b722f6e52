"""Verbs about rebalances: what would spread the load or empty hosts, accepted and compared with what came of it."""

from collections.abc import Callable, Mapping
from typing import Any

from migrator.cli.capacity import names
from migrator.cli.client import Client
from migrator.cli.output import Arguments, show, show_rows
from migrator.cli.tables import Column, as_json, table
from migrator.untrusted import printable


def _parts(row: Mapping[str, Any], when: str) -> str:
    found = row[when]
    return f"{found['cpus']:.0%} / {found['memory']:.0%}" if found else "-"


_MOVES = (
    Column("Server", "name"),
    Column("ID", "server"),
    Column("From", "source"),
    Column("To", "destination"),
    Column("State", "state"),
    Column("Costs", lambda row: f"{row['cost_s']:.0f} s"),
    Column("Gains", lambda row: f"{row['gain_s']:.0f} s"),
    Column("Why", lambda row: row["error"] or row["why"]),
)
_HOSTS = (
    Column("Host", "host"),
    Column("Processors / Memory Before", lambda row: _parts(row, "before")),
    Column("After", lambda row: _parts(row, "after")),
    Column("Measured", lambda row: _parts(row, "measured")),
    Column("Servers", lambda row: f"{row['instances']['before']} -> {row['instances']['after']}"),
)
_LIST = (
    Column("ID", "uuid"),
    Column("Objective", "objective"),
    Column("Proposed", "proposed"),
    Column("Accepted", "accepted"),
    Column("Created At", "created_at"),
    Column("Expires At", "expires_at"),
)


def _rebalance(client: Client, arguments: Arguments) -> None:
    body: dict[str, Any] = {"objective": arguments.objective, "horizon_s": arguments.horizon, "auto": arguments.auto}
    body["at_most"] = arguments.at_most
    _print(arguments, client.native("POST", "/rebalances", body)["rebalance"])


def _accept(client: Client, arguments: Arguments) -> None:
    body = {"servers": list(names(arguments.servers))}
    _print(arguments, client.native("POST", f"/rebalances/{arguments.rebalance}/accept", body)["rebalance"])


def _list(client: Client, arguments: Arguments) -> None:
    show_rows(arguments, _LIST, client.native("GET", "/rebalances", limit=arguments.limit)["rebalances"])


def _show(client: Client, arguments: Arguments) -> None:
    _print(arguments, client.native("GET", f"/rebalances/{arguments.rebalance}")["rebalance"])


def _print(arguments: Arguments, found: Mapping[str, Any]) -> None:
    show(as_json(found) if arguments.json else rebalance_text(found))


def rebalance_text(found: Mapping[str, Any]) -> str:
    head = f"rebalance {found['uuid']} ({found['objective']}): {len(found['moves'])} moves proposed"
    lines = [head + (f", too old since {found['expires_at']}" if found["expired"] else f" until {found['expires_at']}")]
    lines += [f"empty afterwards: {', '.join(found['emptied'])}"] if found["emptied"] else []
    lines += [f"{one['host']}: {one['why']}" for one in found["left"]]
    lines += [f"moves: `migrator drain-show {uuid}`" for uuid in found["drains"]]
    changed = [one for one in found["hosts"] if one["before"] != one["after"]]
    return "\n".join([*map(printable.escaped, lines), table(_MOVES, found["moves"]), table(_HOSTS, changed)])


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "rebalance": _rebalance,
    "rebalance-accept": _accept,
    "rebalance-list": _list,
    "rebalance-show": _show,
}
