"""Fits a table into a terminal: which columns give way, and where a cell's text goes on in the next line. Pure.

Counts a terminal's cells, of which East Asian wide characters take two. Owns no border and no colour. Rich is imported
where a text is measured: an agent has the same command line, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WHOLE = 36  # a word of up to so many cells, such as a UUID, is broken only where there is no other way
_LEAST = 6


def width_of(text: str) -> int:
    """How many a terminal needs for it."""
    from rich.cells import cell_len

    return cell_len(text)


def fitted(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """The width of each column, of all its texts. Together they are at most ``room``, unless not even ``_LEAST`` cells
    for each are: then nothing gives way, and the terminal breaks the lines."""
    wide = [max(map(width_of, texts)) for texts in columns]
    if sum(wide) <= room:
        return wide
    word_widths = [max(_longest_word(text) for text in texts) for texts in columns]
    for whole in (_WHOLE, _LEAST):
        floors = [min(width, max(word, _LEAST), whole) for width, word in zip(wide, word_widths, strict=True)]
        if sum(floors) <= room:
            return _capped(wide, floors, room)
    return wide


def _longest_word(text: str) -> int:
    return max(map(width_of, text.split()), default=0)


def _capped(wide: Sequence[int], floors: Sequence[int], room: int) -> list[int]:
    """The widest ones give way first, all to the same width."""
    for cap in range(max(wide), 0, -1):
        widths = [max(floor, min(width, cap)) for width, floor in zip(wide, floors, strict=True)]
        if sum(widths) <= room:
            return widths
    return list(floors)


def folded(text: str, width: int) -> list[str]:
    """Its lines, broken between words, and within one that is wider."""
    if width_of(text) <= width:
        return [text]
    from rich.text import Text

    return [line.plain.rstrip() for line in Text(text).wrap(_console(), width)]


@cache
def _console() -> Console:
    from rich.console import Console

    return Console(width=80, color_system=None)
