"""How an answer is printed: JSON if that was asked for, else nova's table."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from migrator.cli.tables import Column, as_json, properties, table

Arguments = argparse.Namespace


def show_rows(arguments: Arguments, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    print(as_json(rows) if arguments.json else table(columns, rows))


def show_one(arguments: Arguments, shown: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    print(as_json(row) if arguments.json else properties(shown))
