"""Verbs about whole hosts: drained, restored, and nova's helpers for all servers of one. The server does the work.

A verb ends with 1 where an instance did not go.
"""

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from migrator.cli.capacity import names
from migrator.cli.client import Client
from migrator.cli.output import Arguments, clear_screen, say, show, show_rows
from migrator.cli.tables import Column, as_json, table
from migrator.errors import BadRequest
from migrator.untrusted import printable

Get = Callable[[Client, str], Mapping[str, Any]]  # reads one by its id or UUID
_POLL_S = 1.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_UNDONE = frozenset({"stuck", "failed"})
_RESTS = frozenset({"blocked", "paused"})  # states in which nothing goes on without a person, or a change


def _way(row: Mapping[str, Any]) -> str:
    return f"{row['way'] or 'cannot go'}" + (f" to {row['destination']}" if row["destination"] else "")


def _seconds(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"{row[name]:.1f} s" if row[name] is not None else "-"


def _why(row: Mapping[str, Any]) -> str:
    return "; ".join(str(row[name]) for name in ("error", "why", "remedy") if row.get(name)) or "-"


_MOVE_COLUMNS = (
    Column("Server", "name"),
    Column("ID", "server"),
    Column("State", "state"),
    Column("Way", _way),
    Column("Takes", _seconds("duration_s")),
    Column("Down", _seconds("downtime_s")),
    Column("Why", _why),
)
DRAIN_COLUMNS = (
    Column("ID", "uuid"),
    Column("Kind", "kind"),
    Column("Host", "host"),
    Column("State", "state"),
    Column("Moves", lambda row: ", ".join(f"{number} {state}" for state, number in row["moves"].items()) or "-"),
    Column("Created At", "created_at"),
    Column("Note", "note"),
)


def _drain(client: Client, arguments: Arguments) -> int:
    body: dict[str, Any] = {"host": arguments.host, "to": names(arguments.to), "at_most": arguments.at_most}
    body |= {"strategies": names(arguments.strategy), "reason": arguments.reason, "dry_run": arguments.dry_run}
    body["deadline_s"] = _duration(arguments.deadline)
    answer = client.native("POST", "/drains", body)
    if arguments.dry_run:
        return _planned(arguments, answer["plan"])
    return _followed(client, arguments, answer["drain"])


def _planned(arguments: Arguments, plan: Mapping[str, Any]) -> int:
    show(as_json(plan) if arguments.json else _plan_text(plan))
    return int(any(move["state"] in _UNDONE for move in plan["moves"]))


def _restore(client: Client, arguments: Arguments) -> int:
    return _followed(client, arguments, client.native("POST", f"/hosts/{arguments.host}/restore")["drain"])


def _followed(client: Client, arguments: Arguments, drain: Mapping[str, Any]) -> int:
    if arguments.poll:
        drain = _wait(client, drain["uuid"], None if arguments.json else _say_events(0))
    show(as_json(drain) if arguments.json else _text(drain))
    return int(any(move["state"] in _UNDONE for move in drain["moves"]))


def _drain_of(client: Client, ident: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = client.native("GET", f"/drains/{ident}")["drain"]
    return found


def _wait(
    client: Client, uuid: str, told: Callable[[Mapping[str, Any]], None] | None, get: Get = _drain_of
) -> Mapping[str, Any]:
    """Until it is over, or nothing goes on without a person."""
    while True:
        drain = get(client, uuid)
        if told is not None:
            told(drain)
        if drain["finished_at"] is not None or drain["state"] in _RESTS:
            return drain
        time.sleep(_POLL_S)


def _say_events(already: int) -> Callable[[Mapping[str, Any]], None]:
    """Says each event once."""
    known = already

    def told(drain: Mapping[str, Any]) -> None:
        nonlocal known
        for event in drain["events"]:
            if event["id"] > known:
                say(f"{event['at']} {event['name']}: {event['message']}")
                known = event["id"]

    return told


def _list(client: Client, arguments: Arguments) -> None:
    active = None if arguments.all else "true"
    query = {"host": arguments.host, "active": active, "limit": arguments.limit, "marker": arguments.marker}
    rows = client.native("GET", "/drains", **query)["drains"]
    show_rows(arguments, DRAIN_COLUMNS, rows)
    if len(rows) == arguments.limit and not arguments.json:
        say(f"there may be older ones: --marker {rows[-1]['uuid']}")


def show_one(client: Client, arguments: Arguments, get: Get = _drain_of) -> None:
    """Once, or until it is over."""
    if arguments.watch and not arguments.json:
        redraws = clear_screen()
        drawn: Callable[[Mapping[str, Any]], None] = _draw if redraws else _say_events(0)
        _wait(client, arguments.drain, drawn, get)
        return
    drain = get(client, arguments.drain)
    show(as_json(drain) if arguments.json else _text(drain))


def _draw(drain: Mapping[str, Any]) -> None:
    clear_screen()
    show(_text(drain))


def _ask(client: Client, arguments: Arguments, *, verb: str) -> None:
    body = {"undo": arguments.undo} if verb == "cancel" else None
    drain = client.native("POST", f"/drains/{arguments.drain}/{verb}", body)["drain"]
    show(as_json(drain) if arguments.json else _text(drain))


def _helper(client: Client, arguments: Arguments, *, way: str, title: str) -> int:
    """Nova's helper, as a drain that leaves what cannot go and closes no host."""
    to = names(getattr(arguments, "target_host", None))
    body = {"host": arguments.host, "strategies": [way, "leave"], "to": to, "disable": False}
    return _results(client, arguments, client.native("POST", "/drains", body)["drain"], title)


def _host_evacuate(client: Client, arguments: Arguments) -> int:
    """Nova's helper for a lost host. A server that is not evacuated, or not yet, has False and why."""
    body: dict[str, Any] = {"to": names(arguments.target_host), "at_most": arguments.at_most}
    body |= {"reason": arguments.reason, "dry_run": arguments.dry_run, "deadline_s": _duration(arguments.deadline)}
    body["discard_local_disks"] = arguments.discard_local_disks
    answer = client.native("POST", f"/hosts/{arguments.host}/evacuate", body)
    if arguments.dry_run:
        return _planned(arguments, answer["plan"])
    return _results(client, arguments, answer["drain"], "Evacuate Accepted")


def _results(client: Client, arguments: Arguments, drain: Mapping[str, Any], title: str) -> int:
    """Nova's table: one line for each server."""
    if arguments.poll:
        drain = _wait(client, drain["uuid"], None)
    undone = {"left", *_UNDONE} | ({"waiting"} if drain["finished_at"] is not None else set())
    columns = (
        Column("Server UUID", "server"),
        Column(title, lambda row: str(row["state"] not in undone)),
        Column("State", "state"),
        Column("Destination", "destination"),
        Column("Error Message", lambda row: _why(row) if row["state"] in undone else ""),
    )
    show_rows(arguments, columns, drain["moves"])
    return int(any(move["state"] in undone for move in drain["moves"]))


def _text(drain: Mapping[str, Any]) -> str:
    head = f"{drain['kind']} {drain['uuid']} of {drain['host']}: {drain['state']}"
    head += f", {drain['note']}" if drain["note"] else ""
    head += f"; evidence: {drain['evidence']['words']}" if "evidence" in drain else ""
    times = f"predicted: {drain['predicted_s']:.0f} to {drain['longest_s']:.0f} s from {drain['planned_at'] or '-'}"
    return "\n".join([*map(printable.escaped, (head, times)), table(_MOVE_COLUMNS, drain["moves"])])


def _plan_text(plan: Mapping[str, Any]) -> str:
    lines = [f"{plan['host']}: predicted {plan['predicted_s']:.0f} to {plan['longest_s']:.0f} s"]
    lines += [f"after the deadline: {', '.join(plan['late'])}"] if plan["late"] else []
    return "\n".join([*map(printable.escaped, lines), table(_MOVE_COLUMNS, plan["moves"])])


def _duration(text: str | None) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,8})([smhd]?)", text)
    if found is None:
        raise BadRequest(f"--deadline {text} is no duration", advice="write 90s, 30m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2] or "s"]


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "drain": _drain,
    "drain-list": _list,
    "drain-show": show_one,
    "drain-pause": partial(_ask, verb="pause"),
    "drain-resume": partial(_ask, verb="resume"),
    "drain-cancel": partial(_ask, verb="cancel"),
    "restore": _restore,
    "host-evacuate": _host_evacuate,
    "host-evacuate-live": partial(_helper, way="live", title="Live Migration Accepted"),
    "host-servers-migrate": partial(_helper, way="cold", title="Migration Accepted"),
}
