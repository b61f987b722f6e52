"""``migrator agent-join``: takes a join token on this host, writes the agent's configuration, and says what is missing
here. Owns the order and the words; ``compute/host_join`` does the work."""

import argparse
import ipaddress
import sys
from pathlib import Path

from migrator import server_address
from migrator.cli.agent_check import check
from migrator.cli.output import say
from migrator.compute import host_join
from migrator.compute.network.addresses import address_towards
from migrator.errors import BadRequest, MigratorError
from migrator.settings import AgentSettings, load
from migrator.untrusted.peer_address import checked_host


def join(arguments: argparse.Namespace) -> int:
    """0: the host has joined, and nothing is missing. Raises MigratorError."""
    join_token = sys.stdin.readline().strip() if arguments.token == "-" else arguments.token
    url, address = _checked(arguments.server_url, arguments.address, join_token)
    ca = Path(arguments.server_ca).resolve() if arguments.server_ca else None
    if ca is not None and not url.startswith("https://"):
        raise BadRequest(f"--server-ca is for TLS, and {url} is without", advice="expected https://HOST:PORT")
    file = host_join.ConfigFile(Path(arguments.config), force=arguments.force)
    try:
        joined = host_join.take(url, join_token, ca)
        found = host_join.Found(address or _own(url), host_join.bridges(), Path("/dev/kvm").exists())
        file.write(host_join.configuration(url, ca, joined, found))
    finally:
        file.give_up()
    if not arguments.json:
        say(f"this host is {joined.host}; {arguments.config} is written, what is missing for its agent:")
    missing = check(load(AgentSettings, arguments.config), arguments)
    if not arguments.json:
        again = f"migrator agent --check --config {arguments.config}"
        say(f"once that is mended: {again}" if missing else "start its agent: systemctl enable --now migrator-agent")
    return missing


def _checked(url: str, address: str, join_token: str) -> tuple[str, str]:
    """Url and address. Raises BadRequest."""
    try:
        if not server_address.checked_token(join_token):
            raise ValueError("the join token is empty")
        return server_address.checked_url(url), checked_host(address)
    except ValueError as error:
        advice = "copy the whole line that `migrator host-join` prints"
        raise BadRequest(f"agent-join {url}: {error}", advice=advice) from error


def _own(url: str) -> str:
    """This host's address towards the server; "" where the server is this machine."""
    try:
        found = address_towards(url)
    except MigratorError:
        return ""
    return "" if ipaddress.ip_address(found).is_loopback else found
