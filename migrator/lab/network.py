"""The lab's wires: one bridge, one network namespace and one veth pair for each machine on it.

Owns links and namespaces, and nothing that runs in them.
"""

import json
import zlib
from pathlib import Path
from typing import Any

from migrator.errors import LabError
from migrator.lab.layout import BRIDGE_INSIDE, Layout
from migrator.lab.process import NETNS, namespaces, run

_SUBNETS = 250


def free_subnet(name: str) -> str:
    """A /24 of 10.77.0.0/16 that no link of this machine has, the same for the same name if possible."""
    taken = {entry["local"].rpartition(".")[0] for link in _addresses() for entry in link["addr_info"]}
    first = 0 if name == "lab" else zlib.crc32(name.encode()) % _SUBNETS
    for step in range(_SUBNETS):
        subnet = f"10.77.{(first + step) % _SUBNETS}"
        if subnet not in taken:
            return subnet
    raise LabError("every network of 10.77.0.0/16 is in use on this machine")


def add_bridge(layout: Layout) -> None:
    """Raises LabError where this machine's firewall would drop what passes from one port of the bridge to another."""
    if _bridges_are_filtered() and "-P FORWARD DROP" in run("iptables", "-S", "FORWARD", check=False):
        raise LabError(
            "this machine's firewall drops what its bridges forward (Docker sets it so)",
            advice="sysctl net.bridge.bridge-nf-call-iptables=0",
        )
    run("ip", "link", "add", layout.bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0")
    run("ip", "addr", "add", f"{layout.server_address}/24", "dev", layout.bridge)
    run("ip", "link", "set", layout.bridge, "up")


def _bridges_are_filtered() -> bool:
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    return switch.exists() and switch.read_text().strip() == "1"


def add_machine(layout: Layout, netns: str, address: str) -> None:
    """A namespace on the bridge. Its address sits on a bridge of its own, where guests' interfaces join too."""
    run("ip", "netns", "add", netns)
    run("ip", "link", "add", netns, "type", "veth", "peer", "name", "eth0", "netns", netns)
    run("ip", "link", "set", netns, "master", layout.bridge, "up")
    mac = "52:54:77:" + ":".join(f"{int(byte):02x}" for byte in address.split(".")[1:])
    for command in (
        "link set lo up",
        f"link add {BRIDGE_INSIDE} address {mac} type bridge forward_delay 0 stp_state 0",
        f"link set eth0 master {BRIDGE_INSIDE} up",
        f"addr add {address}/24 dev {BRIDGE_INSIDE}",
        f"link set {BRIDGE_INSIDE} up",
    ):
        run("ip", "-n", netns, *command.split())


def set_link(netns: str, *, up: bool) -> None:
    """Plug or pull the machine's cable, at the bridge's end."""
    run("ip", "link", "set", netns, "up" if up else "down")


def limit_link(netns: str, mib_s: int | None) -> None:
    """Let no more than ``mib_s`` MiB/s reach the machine; None: as fast as it goes."""
    if mib_s is None:
        run("tc", "qdisc", "del", "dev", netns, "root", check=False)
    else:
        rate = f"tbf rate {mib_s * 8 * 1024 * 1024}bit burst 256kb latency 100ms"
        run("tc", "qdisc", "replace", "dev", netns, "root", *rate.split())


def remove_all(layout: Layout) -> None:
    """Every namespace and link of the lab; none is an error."""
    for netns in namespaces(layout.prefix):
        run("ip", "netns", "del", netns)
        run("ip", "link", "del", netns, check=False)  # gone with its peer, unless the namespace lingers
    for link in _links():
        if link == layout.bridge or link.startswith(layout.prefix):
            run("ip", "link", "del", link, check=False)


def leftovers(layout: Layout) -> list[str]:
    """Names of what ``remove_all`` should have removed."""
    found = [link for link in _links() if link == layout.bridge or link.startswith(layout.prefix)]
    return found + [str(NETNS / netns) for netns in namespaces(layout.prefix)]


def _links() -> list[str]:
    return [link["ifname"] for link in _addresses()]


def _addresses() -> list[dict[str, Any]]:
    # `-4` leaves links without an address out, so all are asked for.
    found: list[dict[str, Any]] = json.loads(run("ip", "-j", "addr") or "[]")
    return found
