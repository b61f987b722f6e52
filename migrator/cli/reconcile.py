"""The verb that shows record and copies of a server side by side, and takes the operator's word for one of them."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from migrator.cli.alarms import server_id
from migrator.cli.client import Client
from migrator.cli.output import Arguments, say, show
from migrator.cli.tables import Column, as_json, table

_COLUMNS = (
    Column("Side", "side"),
    Column("Host", "host"),
    Column("State", "state"),
    Column("Stamp", "stamp"),
    Column("Heard", "heard"),
)
_POWER = {0: "no state", 1: "running", 3: "paused", 4: "shut off", 6: "crashed"}


def _reconcile(client: Client, arguments: Arguments) -> None:
    path = f"/servers/{quote(server_id(client, arguments.server), safe='')}/reconcile"
    if arguments.host or arguments.given_up:
        said = {"host": arguments.host, "given_up": arguments.given_up, "unproven": arguments.unproven}
        found = client.native("POST", path, said)["reconcile"]
    else:
        found = client.native("GET", path)["reconcile"]
    if arguments.json:
        show(as_json(found))
        return
    show(table(_COLUMNS, [_record(found["record"]), *(_copy(copy) for copy in found["copies"])]))
    for alarm in found["alarms"]:
        say(f"{alarm['kind']}: {alarm['message']}")
    for operation in found["operations"]:
        say(f"operation {operation['id']} ({operation['kind']}, {operation['phase']}): {operation['waiting'] or '-'}")


def _record(record: Mapping[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {"side": "record", "host": "-", "state": "there is none", "stamp": "-", "heard": "-"}
    state = "deleted" if record["deleted"] else f"{record['vm_state']}, {_POWER.get(record['power_state'], '?')}"
    return {"side": "record", "host": record["host"], "state": state, "stamp": "-", "heard": "-"}


def _copy(copy: Mapping[str, Any]) -> dict[str, Any]:
    stamp = copy["stamp"]
    message = f"{stamp['operation'] or '-'}, epoch {stamp['epoch']}"
    issued = stamp["issued_for"]
    message += "; not signed" if issued is None else f"; for {issued}" if issued != copy["host"] else ""
    message += "; newer than the record" if stamp["newer"] else ""
    heard = f"{copy['age_s']:.0f} s ago" + ("" if copy["host_heard"] else ", silent")
    heard += ", fenced" if copy["host_fenced"] else ""
    side = "copy" if copy["believed"] else "mere claim"
    return {"side": side, "host": copy["host"], "state": copy["state"], "stamp": message, "heard": heard}


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {"reconcile": _reconcile}
