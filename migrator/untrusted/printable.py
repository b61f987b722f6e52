"""Text that others chose (names, agents' words, a hypervisor's errors) made fit for a terminal and for a line of a log.

Owns which characters no sender may use there: those that move a cursor, begin an escape sequence, turn the direction of
writing, end a line, or cannot be seen or encoded. They are shown as Python and JSON write them. Changes nothing that is
kept or compared.
"""

import json
import re
import unicodedata
from typing import Any

# Controls, formats (directions, joiners), lone surrogates, unassigned, line and paragraph separators.
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Cn", "Zl", "Zp"))
_SUSPECT = re.compile(r"[^\x20-\x7e]")


def escaped(text: str) -> str:
    """One line without a hidden character: ESC is shown as \\x1b, a change of direction as \\u202e."""
    return _SUSPECT.sub(lambda found: _shown(found[0]), text)


def lines(text: str) -> str:
    """Several lines of our own, of which each is ``escaped``."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in which a terminal finds nothing hidden: json leaves DEL, C1 controls and directions as they are."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _SUSPECT.sub(lambda found: _as_json(found[0]), text)


def _shown(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii") if _hidden(character) else character


def _as_json(character: str) -> str:
    if character == "\n" or not _hidden(character):  # a line's end is json's own indentation
        return character
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN
