"""Verbs that tell beforehand: where a server can move, and which CPU model all hosts have. They change nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrator.cli.client import Client
from migrator.cli.output import Arguments, say, show
from migrator.cli.tables import Column, as_json, table
from migrator.errors import ActionNotImplemented, BadRequest
from migrator.protocol import HostCpu
from migrator.untrusted import printable

_MARKS = {"passed": "ok", "failed": "NO", "unknown": "?"}


def _preflight(client: Client, arguments: Arguments) -> int:
    """1 when there is a server that no host can take."""
    if [arguments.server, arguments.source, arguments.evacuate].count(None) != 2:
        raise BadRequest("name a server, or a host with --from or --evacuate")
    query: dict[str, Any] = {"to": arguments.to or None, "from": arguments.source, "evacuate": arguments.evacuate}
    if arguments.server is not None:
        query["server"] = client.server(arguments.server)["id"]
    found = client.native("GET", "/preflight", **query)
    if arguments.json:
        show(as_json(found))
    else:
        show("\n\n".join(matrix(one) for one in found["preflight"]) or f"{_host_of(arguments)} has no servers")
    return int(any(_nowhere(one) for one in found["preflight"]))


def _host_of(arguments: Arguments) -> str:
    return str(arguments.source or arguments.evacuate)


def _nowhere(found: Mapping[str, Any]) -> bool:
    return bool(found.get("refusal")) or all(host["status"] == "failed" for host in found["hosts"])


def matrix(found: Mapping[str, Any]) -> str:
    """One server: hosts and checks, and why a check did not pass; what is true of every host is said once."""
    server, hosts = found["server"], found["hosts"]
    reasons: dict[str, list[str]] = {}
    for host in hosts:
        for check in host["checks"]:
            if check["status"] != "passed":
                reasons.setdefault(_reason(check), []).append(host["host"])
    lines = [f"{_hosts(names, len(hosts))}: {reason}" for reason, names in reasons.items()]
    lines += [f"refused: {found['refusal']}"] if found.get("refusal") else []
    lines += [f"{fate['target']}: {fate_words(fate)}{_proof(fate)}" for fate in found.get("disks", ())]
    head = printable.escaped(f"{server['name']} ({server['id']}) on {server['host']}")
    return "\n".join([head, _marks(hosts), *map(printable.escaped, lines)])


def fate_words(fate: Mapping[str, Any]) -> str:
    """What becomes of one disk in an evacuation."""
    if fate["kept"]:
        return "kept: other hosts have it too"
    if fate["made_from"] == "config drive":
        return "made anew (config drive)"
    origin = f"made anew from image {fate['image_id']}" if fate["made_from"] == "image" else "made anew, empty"
    return f"LOST with pool {fate['pool']} of the host, {origin}"


def _proof(fate: Mapping[str, Any]) -> str:
    """How old what shows that the pool is really shared is; a volume is in none."""
    if not fate["kept"] or not fate.get("pool"):
        return ""
    age_s = fate.get("proof_age_s")
    found = "its host never wrote one" if age_s is None else f"written {age_s:.0f} s before its host's last word"
    return f" (last proof in {fate['pool']}: {found})"


def _marks(hosts: Sequence[Mapping[str, Any]]) -> str:
    """A row for each host, or while there are fewer hosts than checks, for each check: it is to fit a terminal."""
    marks = {h["host"]: {c["code"]: _MARKS[c["status"]] for c in h["checks"]} for h in hosts}
    codes = list(next(iter(marks.values()), {}))
    if len(hosts) < len(codes):
        rows = [{"row": code, **{host: marks[host][code] for host in marks}} for code in codes]
        return table([Column("Check", "row"), *(Column(host, host) for host in marks)], rows)
    rows = [{"row": host, **checks} for host, checks in marks.items()]
    return table([Column("Host", "row"), *(Column(code, code) for code in codes)], rows)


def _hosts(names: Sequence[str], all_of_them: int) -> str:
    return "every host" if len(names) == all_of_them > 1 else ", ".join(names)


def _reason(check: Mapping[str, Any]) -> str:
    advice = f" ({check['advice']})" if check["advice"] else ""
    word = "not known: " if check["status"] == "unknown" else ""
    return f"{check['code']}: {word}{check['message']}{advice}"


def _baseline(client: Client, arguments: Arguments) -> None:
    told = client.native("GET", "/cpus", host=arguments.host or None)["cpus"]
    hosts = {row["host"]: HostCpu.model_validate(row["cpu"] or {}) for row in told}
    try:
        from migrator.compute.libvirt.cpu_baseline import baseline
    except ImportError as error:
        raise ActionNotImplemented(
            f"libvirt is needed to work this out, and cannot be used here: {error}",
            advice="run it on one of the hosts, or install migrator[libvirt] and name a host's libvirtd with --connect",
        ) from error
    found = baseline(arguments.connect, hosts)
    if arguments.json:
        show(as_json({"hosts": list(hosts), "model": found.model, "models": found.models, "cpu": found.xml}))
        return
    say(f"# runs on {', '.join(hosts)}")
    say('cpu_mode = "custom"')
    say(f"cpu_models = [{json.dumps(found.model)}]")


VERBS: Mapping[str, Callable[[Client, Arguments], int | None]] = {
    "preflight": _preflight,
    "cpu-baseline": _baseline,
}
