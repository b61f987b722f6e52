"""What the command line prints: nova's tables, as wide as the terminal at most, or JSON: rows in, text out."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from migrator.cli.folding import fitted, folded, width_of
from migrator.untrusted import printable

_ENDLESS = 1_000_000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """``value``: a key of the row, or a function of it."""

    title: str
    value: str | Callable[[Row], Any]

    def of(self, row: Row) -> str:
        return cell(row.get(self.value) if isinstance(self.value, str) else self.value(row))


def cell(value: Any) -> str:
    """One cell: "-" for nothing, JSON for what has parts, one line always, nothing hidden in it."""
    if value is None:
        return "-"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return printable.escaped(text.replace("\r\n", " ").replace("\n", " "))


def table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """``+----+`` rules around left-aligned cells; without rows, the header alone."""
    return _grid([cell(column.title) for column in columns], [[column.of(row) for column in columns] for row in rows])


def properties(values: Row) -> str:
    """The two-column table of one thing, sorted by property."""
    return _grid(["Property", "Value"], [[cell(name), cell(values[name])] for name in sorted(values)])


def as_json(value: Any) -> str:
    return printable.as_json(value, indent=2)


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = [[line[i] for line in (titles, *rows)] for i in range(len(titles))]
    widths = fitted(columns, _cells_across() - 3 * len(titles) - 1)
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: Sequence[str]) -> Iterator[str]:
        parts = [folded(text, width) for text, width in zip(cells, widths, strict=True)]
        for across in zip_longest(*parts, fillvalue=""):
            padded = (text + " " * (width - width_of(text)) for text, width in zip(across, widths, strict=True))
            yield "|" + "|".join(f" {text} " for text in padded) + "|"

    return "\n".join([rule, *line(titles), rule, *(drawn for row in rows for drawn in line(row)), rule])


def _cells_across() -> int:
    """Of the terminal; where a program or a file reads the table, each row is one line, however long."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _ENDLESS


def size(count: float) -> str:
    """Bytes for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
