"""The limits of everything that a message may carry, which ``Message`` itself puts into each field.

Owns the largest number, text, list and nesting of the protocol. A field may ask for less than these limits; none can
ask for more by leaving something out, and a type without a limit ends the program where the message is defined.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

NUMBER_MAX = 2**63 - 1  # what both databases keep
NUMBER_MIN = -(2**63)
REAL_MAX = 2.0**53  # beyond, not every whole number can be told from the next
TEXT_MAX = 4096
ITEMS_MAX = 10_000
DEPTH_MAX = 16  # of lists and mappings in each other, where a message carries any JSON
NO_NUL = r"^[^\x00]*$"
_HALF = re.compile("[\ud800-\udfff]")

_MODELS = ("model", "model-fields", "model-field", "definitions", "definition-ref")
_WRAPPERS = ("default", "nullable", "union", "tagged-union", "function-before", "function-after")
_CONTAINERS = ("list", "tuple", "set", "frozenset", "dict")
_CLOSED = ("enum", "literal", "bool", "none")  # no value of them is long
_STRUCTURE = frozenset((*_MODELS, *_WRAPPERS, *_CLOSED))
_NO_SCHEMA = frozenset(("metadata", "default", "config", "function", "serialization", "cls", "members"))


def bound(schema: Any) -> Any:
    """``schema`` of pydantic's core with every limit that it does not have yet. Raises TypeError for a type that has no
    limit here."""
    if isinstance(schema, list):
        return [bound(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if kind == "function-before" and isinstance(schema["function"]["function"], NotLonger):
        return schema  # of a message in this one, which has its limits
    if kind == "any":
        return {"type": "function-after", "function": {"type": "no-info", "function": plain}, "schema": schema}
    if not isinstance(kind, str):  # names of fields and what they are, not a schema
        return {key: bound(value) for key, value in schema.items()}
    found = {key: value if key in _NO_SCHEMA else bound(value) for key, value in schema.items()}
    if not _limit(kind, found) and kind not in _STRUCTURE:
        raise TypeError(f"a message cannot carry a {kind}: it has no limit in {__name__}")
    if kind in _CONTAINERS:
        first = NotLonger(found["max_length"])
        return {"type": "function-before", "function": {"type": "no-info", "function": first}, "schema": found}
    return found


@dataclass(frozen=True, slots=True)
class NotLonger:
    """Refuses a list or mapping by its length, before any of its items is looked at: a million wrong ones would each
    be described first."""

    most: int

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Mapping | list | tuple | set | frozenset) and len(value) > self.most:
            known = {"most": self.most, "found": len(value)}
            raise PydanticCustomError("too_long", "expected at most {most} items, found {found}", known)
        return value


def _limit(kind: str, schema: dict[str, Any]) -> bool:
    """Add the limits of this kind of value. False: it has none."""
    match kind:
        case "int":
            limits: dict[str, Any] = {"ge": NUMBER_MIN, "le": NUMBER_MAX}
        case "float":
            limits = {"ge": -REAL_MAX, "le": REAL_MAX, "allow_inf_nan": False}
        case "str":
            limits = {"max_length": TEXT_MAX, "pattern": NO_NUL}
        case "dict":
            limits = {"max_length": ITEMS_MAX}
        case "list" | "tuple" | "set" | "frozenset":
            limits = {"max_length": ITEMS_MAX, "fail_fast": True}
        case _:
            return False
    for name, value in limits.items():
        if name not in schema and {"ge": "gt", "le": "lt"}.get(name) not in schema:
            schema[name] = value
    return True


def plain(value: Any, depth: int = DEPTH_MAX) -> Any:
    """``value`` if it is JSON within the limits. Raises ValueError."""
    match value:
        case None | bool():
            pass
        case str():
            if len(value) > TEXT_MAX or not is_text(value):
                raise ValueError(f"expected text of at most {TEXT_MAX} characters, without NUL")
        case int() | float():
            if not NUMBER_MIN <= value <= NUMBER_MAX:  # not a number is not between them, either
                raise ValueError("expected a finite number of at most 63 bits")
        case Mapping() | Sequence():
            _container(value, depth)
        case _:
            raise ValueError(f"expected JSON, found a {type(value).__name__}")
    return value


def _container(value: Mapping[Any, Any] | Sequence[Any], depth: int) -> None:
    if depth == 0 or len(value) > ITEMS_MAX:
        raise ValueError(f"expected at most {ITEMS_MAX} items, and {DEPTH_MAX} levels of them")
    parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
    for part in parts:
        plain(part, depth - 1)


def is_text(value: str) -> bool:
    """Without NUL, which PostgreSQL does not keep, and without half a surrogate pair, which UTF-8 does not."""
    return "\x00" not in value and (value.isascii() or _HALF.search(value) is None)


def cleaned(value: Any, length: int = TEXT_MAX) -> Any:
    """Text without what ``is_text`` forbids, cut to ``length``; anything else as it is."""
    if not isinstance(value, str):
        return value
    if not is_text(value):
        value = value.replace("\x00", "").encode(errors="replace").decode()
    return value if len(value) <= length else f"{value[: length - 1]}…"
