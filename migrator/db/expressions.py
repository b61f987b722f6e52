"""Regular expressions of list filters: matched within bounds, the same on every database.

Owns the syntax (RE2's: no back-references, no look-around) and its bounds: RE2 never backtracks, but a search may take
as many steps as the program has instructions, times the text's characters, and a list has many texts. No database
evaluates a pattern: Python's ``re``, which SQLite would be given, backtracks, and PostgreSQL's dialect is another one.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from migrator.errors import BadRequest

LONGEST = 1000  # characters
SEARCH_S = 1.0  # of a processor, for all texts of one list: a simple pattern is held against some 500,000 in it
_INSTRUCTIONS = 3000  # of a compiled program; two classes of Unicode have about 2,400
_MEMORY = 1 << 20  # bytes that the compiled program and the states of one search may take
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


@dataclass(frozen=True, slots=True)
class Expression:
    """``literal``: the text to be contained, of a pattern without a special character; else None."""

    literal: str | None
    _program: Any

    def found_in(self, text: str) -> bool:
        return self._program.search(text) is not None


def parse(name: str, text: str) -> Expression:
    """The pattern that parameter ``name`` gives. Raises BadRequest."""
    if len(text) > LONGEST:
        raise BadRequest(f"Invalid regular expression for {name}: it has {len(text)} characters; at most {LONGEST}")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        program = re2.compile(text, options)
    except (re2.error, UnicodeError) as error:
        raise BadRequest(
            f"Invalid regular expression for {name}: {_describe_error(error)}; expected RE2's syntax"
        ) from error
    if program.programsize > _INSTRUCTIONS:
        message = f"it makes a program of {program.programsize} instructions; at most {_INSTRUCTIONS}: repeat less"
        raise BadRequest(f"Invalid regular expression for {name}: {message}")
    return Expression(None if is_pattern(text) else text, program)


def _describe_error(error: Exception) -> str:
    said = error.args[0] if error.args else "it cannot be read"
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


class Search:
    """Expressions, by the name of what each is held against, for one list's rows. ``clock``: processor time, in s."""

    def __init__(self, expressions: Mapping[str, Expression], clock: Callable[[], float] = time.thread_time) -> None:
        self._expressions, self._clock, self._left_s = expressions, clock, SEARCH_S

    def found(self, texts: Mapping[str, Any]) -> bool:
        """Whether each expression is found in the text, or in one of the texts, of its name. Raises BadRequest when
        all searches together took too long."""
        before = self._clock()
        found = all(_found(expression, texts[name]) for name, expression in self._expressions.items())
        self._left_s -= self._clock() - before
        if self._left_s < 0:
            raise BadRequest(
                f"Invalid regular expression for {', '.join(self._expressions)}: to hold it against the servers takes "
                f"more than {SEARCH_S:g} s of the processor; make it simpler, or list fewer servers by another filter"
            )
        return found


def is_pattern(text: str) -> bool:
    """Whether it is more than a text to be contained."""
    return _SPECIAL.search(text) is not None


def _found(expression: Expression, texts: Any) -> bool:
    if texts is None:
        return False
    if isinstance(texts, str):
        return expression.found_in(texts)
    return any(expression.found_in(text) for text in texts)
