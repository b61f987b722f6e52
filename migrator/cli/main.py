"""The command ``migrator``: finds the subcommand, runs it, and turns every known error into one sentence.

Each group of subcommands is a module with ``add(subparsers)``; what they do is imported only when they run, so that
an agent does not carry the server's libraries in memory.
"""

import argparse
import os
import sys

from migrator import __version__
from migrator.cli.output import fail_with
from migrator.errors import MigratorError


def parser() -> argparse.ArgumentParser:
    from migrator.cli import processes, verbs

    top = argparse.ArgumentParser(prog="migrator", description="Moves virtual machines between libvirt/KVM hosts.")
    top.add_argument("--version", action="version", version=f"migrator {__version__}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    processes.add(subparsers)
    verbs.add(subparsers)
    return top


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
        return 130


if __name__ == "__main__":
    sys.exit(main())
