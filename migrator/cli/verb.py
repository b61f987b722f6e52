"""One subcommand of the client: what each has, and how it is run. Nothing that speaks HTTP is imported before."""

import argparse
import importlib
from typing import Any


def add_verb(subparsers: Any, name: str, text: str, json: bool = False, poll: bool = False) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = subparsers.add_parser(name, help=text, description=text)
    made.add_argument("--url", help="the Compute API; else MIGRATOR_URL, OS_ENDPOINT or http://127.0.0.1:8774/v2.1")
    if json:
        made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    if poll:
        made.add_argument("--poll", action="store_true", help="wait until it is over and show how far it is")
    made.set_defaults(run=_run)
    return made


def _run(arguments: argparse.Namespace) -> int:
    from migrator.cli.client import Client, endpoint

    actions = importlib.import_module("migrator.cli.actions")
    with Client(endpoint(arguments.url)) as client:
        return int(actions.VERBS[arguments.command](client, arguments) or 0)
