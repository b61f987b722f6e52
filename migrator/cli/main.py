"""The command ``migrator``: finds the subcommand, runs it, and turns every known error into one sentence.

Each group of subcommands is a module with ``add(subparsers)``; what they do is imported only when they run, so that
an agent does not carry the server's libraries in memory.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Mapping

from migrator import __version__
from migrator.cli.output import fail, fail_with, say
from migrator.errors import MigratorError


class _Parser(argparse.ArgumentParser):
    """Says which verb was probably meant, where argparse names them all."""

    verbs: Mapping[str, argparse.ArgumentParser]

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.dest == "command" and value not in self.verbs:
            self.exit(2, f"migrator: {_unknown(str(value), self.verbs)}\n")
        super()._check_value(action, value)


def parser() -> argparse.ArgumentParser:
    from migrator.cli import processes, verbs

    top = _Parser(prog="migrator", description="Moves virtual machines between libvirt/KVM hosts.")
    top.add_argument("--version", action="version", version=f"migrator {__version__}")
    subparsers = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    top.verbs = subparsers.choices
    processes.add(subparsers)
    verbs.add(subparsers)
    described = subparsers.add_parser("help", help="describe a verb", description="Describe a verb, or list them all.")
    described.add_argument("verb", nargs="?")
    described.set_defaults(run=lambda arguments: _help(top, subparsers.choices, arguments.verb))
    return top


def _help(top: argparse.ArgumentParser, every: Mapping[str, argparse.ArgumentParser], verb: str | None) -> int:
    if verb is not None and verb not in every:
        fail(f"migrator: {_unknown(verb, every)}")
        return 2
    say((every[verb] if verb else top).format_help().rstrip())
    return 0


def _unknown(verb: str, every: Mapping[str, argparse.ArgumentParser]) -> str:
    near = difflib.get_close_matches(verb, every, n=3)
    meant = f"; the nearest: {', '.join(near)}" if near else ""
    return f"there is no verb {verb}{meant}; `migrator help` lists them all"


def main(argv: list[str] | None = None) -> int:
    """0: done. 1: it failed, and one sentence on stderr says why. 2: the command line is wrong."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except MigratorError as error:
        fail_with(error)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        if getattr(arguments, "poll", False):
            fail("migrator: what was asked for goes on; `migrator where SERVER` tells how far it is")
        return 130


if __name__ == "__main__":
    sys.exit(main())
