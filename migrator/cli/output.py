"""How an answer is printed: JSON if that was asked for, else nova's table; sentences, and failures on stderr.

Every writer to the terminal goes through here, so that no text of others reaches it as it is
(``untrusted/printable.py``).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from migrator.cli.tables import Column, as_json, properties, table
from migrator.errors import MigratorError
from migrator.untrusted import printable

Arguments = argparse.Namespace


def say(sentence: str) -> None:
    """One line on stdout."""
    print(printable.escaped(sentence))


def show(drawn: str) -> None:
    """Lines on stdout, in which every text of others is one line already."""
    print(printable.lines(drawn))


def clear_screen() -> bool:
    """False, and nothing is written, where stdout is no terminal."""
    if sys.stdout.isatty():
        print("\033[2J\033[H", end="")
    return sys.stdout.isatty()


def fail(text: str) -> None:
    """One line on stderr."""
    print(printable.escaped(text), file=sys.stderr)


def fail_with(error: MigratorError) -> None:
    fail(f"migrator: {error.sentence}")


def show_rows(arguments: Arguments, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    show(as_json(rows) if arguments.json else table(columns, rows))


def show_one(arguments: Arguments, shown: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    show(as_json(row) if arguments.json else properties(shown))
