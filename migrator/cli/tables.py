"""What the command line prints: nova's tables, or JSON. Pure: rows in, text out."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.untrusted import printable

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
    widths = [max(_cells(line[i]) for line in (titles, *rows)) for i in range(len(titles))]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: Sequence[str]) -> str:
        padded = (text + " " * (width - _cells(text)) for text, width in zip(cells, widths, strict=True))
        return "|" + "|".join(f" {text} " for text in padded) + "|"

    return "\n".join([rule, line(titles), rule, *(line(row) for row in rows), rule])


def _cells(text: str) -> int:
    """How many of a terminal's cells the text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def size(count: float) -> str:
    """Bytes for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
