"""Subcommands that run or prepare a part of migrator on this machine: server, agent, lab, database, credentials."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from migrator import logs
from migrator.errors import LibraryMissing

_LIBVIRT = (
    "install it with `apt install libvirt-dev pkg-config gcc` and `pip install 'migrator[libvirt]'`; "
    "a simulated host needs none: simulated = true"
)
_SERVER = "install it with `pip install migrator`, in an environment without migrator-agent, which is the hosts' part"
_LAB = "run it from a checkout, after script/bootstrap: an installed package goes without the lab and its tools"


def add(subparsers: Any) -> None:
    server = subparsers.add_parser("server", help="run the server")
    server.add_argument("--config", help="TOML file; MIGRATOR_* in the environment wins over it")
    server.set_defaults(run=_server)
    agent = subparsers.add_parser("agent", help="run the agent of this host")
    agent.add_argument("--config", help="TOML file; MIGRATOR_* in the environment wins over it")
    agent.add_argument(
        "--check", action="store_true", help="start nothing: say what this host lacks, and what mends it"
    )
    agent.add_argument("--json", action="store_true", help="--check: print JSON instead of a table")
    agent.set_defaults(run=_agent)
    join = subparsers.add_parser("agent-join", help="join a server: `migrator host-join` prints this line (on a host)")
    join.add_argument("server_url", help="of its agents' port: http://HOST:PORT or https://HOST:PORT")
    join.add_argument("token", help="the join token; - reads it from the standard input")
    join.add_argument("--config", default="/etc/migrator/agent.toml", help="the file to write (%(default)s)")
    join.add_argument(
        "--address", default="", help="at which other hosts reach this one; else the one that reaches the server"
    )
    join.add_argument("--server-ca", help="PEM file: the only authority that is trusted, with https")
    join.add_argument("--force", action="store_true", help="replace the file if there is one")
    join.add_argument("--json", action="store_true", help="print what is missing as JSON instead of a table")
    join.set_defaults(run=_join)
    credential = subparsers.add_parser("agent-credential", help="issue a new credential for a host's agent")
    credential.add_argument("host")
    credential.add_argument("--config")
    credential.set_defaults(run=_credential)
    database = subparsers.add_parser("db", help="bring the database to the newest revision")
    database.add_argument("what", choices=["upgrade"])
    database.add_argument("--config")
    database.set_defaults(run=_database)
    lab = subparsers.add_parser("lab", help="real hosts on this machine, for trying things out (root)")
    lab.add_argument("what", choices=["up", "down", "status"])
    lab.add_argument("--name", default="lab")
    lab.add_argument("--hosts", type=int, default=3)
    lab.add_argument("--tls", action="store_true", help="up: make certificates; agents encrypt migrations")
    lab.add_argument("--json", action="store_true")
    lab.set_defaults(run=_lab)


@contextmanager
def _part(name: str, packages: tuple[str, ...], advice: str) -> Iterator[None]:
    """Raises LibraryMissing where a part of migrator is not installed; what else is missing is another error."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise LibraryMissing(f"{name} is not installed", advice=advice) from error


def _servers_part() -> Any:
    return _part("the server", ("migrator.server", "migrator.db"), _SERVER)


def _server(arguments: argparse.Namespace) -> int:
    with _servers_part():
        from migrator.server.main import serve
    from migrator.settings import ServerSettings, load

    logs.configure()
    return serve(load(ServerSettings, arguments.config))


def without_httpx_cli() -> None:
    """To be called before the first import of httpx, which brings a command line of its own along, and all that draws
    it: 5 MiB that no agent needs. None is Python's word for a module that is not to be had; httpx goes without."""
    sys.modules["httpx._main"] = cast(Any, None)


def _agent(arguments: argparse.Namespace) -> int:
    without_httpx_cli()
    from migrator.settings import AgentSettings, load

    logs.configure()
    settings = load(AgentSettings, arguments.config)
    if arguments.check:
        from migrator.cli.agent_check import check

        return check(settings, arguments)
    if settings.simulated:
        from migrator.compute.agent.simulated_main import run_one

        return run_one(settings)
    with _part("libvirt's Python library", ("libvirt", "libvirtmod"), _LIBVIRT):
        from migrator.compute.agent.main import run_real_agent  # a simulated host has no libvirt to import
    return run_real_agent(settings)


def _join(arguments: argparse.Namespace) -> int:
    without_httpx_cli()
    from migrator.cli.agent_join import join

    return join(arguments)


def _credential(arguments: argparse.Namespace) -> int:
    with _servers_part():
        from migrator.db.credentials import issue
        from migrator.db.engine import Database
        from migrator.db.upgrade import upgrade
    from migrator.settings import ServerSettings, load

    url = load(ServerSettings, arguments.config).database
    upgrade(url)
    db = Database(url)
    print(issue(db, arguments.host))
    db.close()
    return 0


def _database(arguments: argparse.Namespace) -> int:
    with _servers_part():
        from migrator.db.upgrade import upgrade
    from migrator.settings import ServerSettings, load

    upgrade(load(ServerSettings, arguments.config).database)
    print("the database is at the newest revision")
    return 0


def _lab(arguments: argparse.Namespace) -> int:
    with _part("the lab", ("migrator.lab",), _LAB):
        from migrator.lab import commands
    act = {"up": commands.up, "down": commands.down, "status": commands.status}[arguments.what]
    found = act(arguments)
    if arguments.what == "status":
        print(json.dumps(found, indent=None if arguments.json else 2, default=str))
    return 0
