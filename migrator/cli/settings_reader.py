"""What ``settings.py`` says of each setting: its name, default, bounds, and the comment beside or above it.

Owns the reading of the source: a comment is for the setting below it, or in whose line it stands. Draws nothing.
"""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


@dataclass(frozen=True, slots=True)
class Setting:
    """``default``: None where the setting has none, or the machine's own."""

    name: str
    default: Any
    expected: str
    about: str


def settings_of(kind: type[BaseModel]) -> tuple[Setting, ...]:
    """In the order of the source; what a base class has comes last."""
    comments = {name: text for each in reversed(kind.__mro__) if _is_model(each) for name, text in _comments(each)}
    fields = kind.model_fields
    own = [name for name in fields if name in kind.__annotations__]
    return tuple(
        Setting(name, _default(fields[name]), _expected(fields[name]), comments.get(name, ""))
        for name in (*own, *(name for name in fields if name not in own))
    )


def _is_model(each: type) -> bool:
    return issubclass(each, BaseModel) and each.__module__.startswith("migrator.")


def _comments(kind: type) -> Iterator[tuple[str, str]]:
    """Name -> what the source says of it, in one line."""
    source = inspect.getsource(kind)
    texts = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (declared,) = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    for line in declared.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            first = line.lineno
            while first - 1 in texts and source.splitlines()[first - 2].lstrip().startswith("#"):
                first -= 1
            said = [texts[at] for at in range(first, (line.end_lineno or line.lineno) + 1) if at in texts]
            yield line.target.id, " ".join(said)


def _default(field: FieldInfo) -> Any:
    if field.default_factory is not None:
        made = field.default_factory()  # type: ignore[call-arg]
        return made if isinstance(made, Mapping) else None  # a text that is made is this machine's name
    return None if field.default is PydanticUndefined else field.default


def _expected(field: FieldInfo) -> str:
    """What values there are, as far as the type tells: words to choose from, or bounds of a number."""
    literals = list(_literals(field.annotation))
    if literals:
        return ", ".join(f'"{word}"' for word in literals)
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le") if hasattr(each, name)
    }
    said = [f"{texts} {_number(bounds[name])}" for name, texts in _BOUNDS.items() if name in bounds]
    return " and ".join(said)


def _number(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most"}


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _literals(part)
