"""Regular expressions of list filters: matched in time that grows with the text only, the same on every database.

Owns the syntax (RE2's: no back-references, no look-around) and its bounds. No database evaluates a pattern: Python's
``re``, which SQLite would be given, backtracks, and PostgreSQL's dialect is another one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import re2

from migrator.errors import BadRequest

LONGEST = 1000  # characters
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
        raise BadRequest(f"Invalid regular expression for {name}: {_words(error)}; expected RE2's syntax") from error
    return Expression(text if _SPECIAL.search(text) is None else None, program)


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else "it cannot be read"
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def every_found(expressions: Mapping[str, Expression], texts: Mapping[str, Any]) -> bool:
    """Whether each expression is found in the text, or in one of the texts, of its name."""
    return all(_found(expression, texts[name]) for name, expression in expressions.items())


def _found(expression: Expression, texts: Any) -> bool:
    if isinstance(texts, str):
        return expression.found_in(texts)
    return any(expression.found_in(text) for text in texts)
