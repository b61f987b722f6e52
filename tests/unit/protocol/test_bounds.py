"""Every field of every message has a limit: it refuses what a database, JSON or a reader cannot bear."""

import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import ValidationError

from migrator.api.agent_v1 import routes  # noqa: F401 - its messages are walked, too
from migrator.protocol import Assignments, Fact, Facts, HostReport, Message, Text, bounds
from migrator.protocol.base import Xml

NUL, HALF, ENDLESS = "a\x00b", "a\ud800b", "x" * 200_000
NUMBERS: tuple[Any, ...] = (2**63, -(2**63) - 1, 10**400, float("inf"), float("-inf"), float("nan"))
TEXTS = (NUL, HALF, ENDLESS)
LISTS = ("assignments", "facts", "unreadable")
CLEANED = Text.__metadata__[0]  # type: ignore[attr-defined]


def every_message() -> list[type[Message]]:
    found, todo = [], [Message]
    while todo:
        more = todo.pop().__subclasses__()
        found += more
        todo += more
    return sorted({kind for kind in found if kind.__module__.startswith("migrator.")}, key=lambda kind: kind.__name__)


def good(hint: Any) -> Any:
    """Some value that the type allows, so that only what is put into it can be refused."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return good(parts[0])
    if origin in (Union, types.UnionType):
        return good(parts[0])
    if origin in (tuple, list):
        return [good(part) for part in parts if part is not Ellipsis]
    if origin is dict:
        return {good(parts[0]): good(parts[1])}
    if isinstance(hint, type) and issubclass(hint, Message):
        return {name: good(field_hint(hint, name)) for name, field in hint.model_fields.items() if field.is_required()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint)).value
    return {str: "a", int: 1, float: 1.0, bool: True, Any: "a", type(None): None}[hint]


def field_hint(kind: type[Message], name: str) -> Any:
    return typing.get_type_hints(kind, include_extras=True)[name]


def bad(hint: Any, metadata: Sequence[Any] = ()) -> Iterator[Any]:
    """Values that look like the type, and must be refused (or, of cleaned text, mended)."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        yield from bad(parts[0], parts[1:])
    elif origin in (Union, types.UnionType):
        for part in parts:
            yield from bad(part)
    elif origin in (tuple, list):
        yield from ([value] for value in bad(parts[0]))
        if parts[-1] is Ellipsis:
            yield [good(parts[0])] * (bounds.ITEMS_MAX + 1)
    elif origin is dict:
        yield from ({value: good(parts[1])} for value in bad(parts[0]))
        yield from ({good(parts[0]): value} for value in bad(parts[1]))
        yield {str(number): good(parts[1]) for number in range(bounds.ITEMS_MAX + 1)}
    elif isinstance(hint, type) and issubclass(hint, Message):
        for name in hint.model_fields:
            yield from (good(hint) | {name: value} for value in bad(field_hint(hint, name)))
    elif hint is Any:
        yield from (*NUMBERS, *TEXTS, nested(bounds.DEPTH_MAX + 1))
    elif hint in (int, float):
        yield from NUMBERS
    elif hint is str and CLEANED not in metadata:
        yield from TEXTS


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


FIELDS = [(kind, name) for kind in every_message() for name in kind.model_fields]
# Each item of these stands alone: one that cannot be read is left out, or kept apart without what it said.
APART = {(kind, name) for kind in (Assignments, Facts) for name in kind.model_fields if name in LISTS}


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name in FIELDS])
def test_every_field_of_every_message_refuses_what_cannot_be_kept(kind: type[Message], name: str) -> None:
    for value in bad(field_hint(kind, name)):
        if (kind, name) in APART and (len(value) == 1 or name == "unreadable"):
            assert getattr(kind.model_validate(good(kind) | {name: value}), name) == ()
            continue
        with pytest.raises(ValidationError) as refusal:
            kind.model_validate(good(kind) | {name: value})
        assert name in {str(error["loc"][0]) for error in refusal.value.errors(include_input=False)}, repr(value)[:80]


def test_the_walk_meets_the_fields_that_did_harm() -> None:
    met = {f"{kind.__name__}.{name}" for kind, name in FIELDS}
    assert {"HostReport.self_fencing_lease_s", "Fact.sequence", "Assignment.inputs", "Registration.report"} <= met
    assert list(bad(field_hint(HostReport, "cpu_topology")))


def test_a_field_whose_type_has_no_limit_cannot_be_declared() -> None:
    with pytest.raises(TypeError, match="a message cannot carry a bytes"):

        class Blob(Message):
            content: bytes


def test_words_of_a_hypervisor_are_cleaned_and_cut_instead_of_refused() -> None:
    assert bounds.cleaned(NUL) == "ab"
    assert bounds.cleaned(HALF) == "a?b"
    assert len(bounds.cleaned(ENDLESS)) == bounds.TEXT_MAX
    assert Xml is not Text  # half an XML is none


def test_json_that_is_nested_without_end_is_refused_before_it_is_built() -> None:
    deep = '{"facts":' + "[" * 100_000
    with pytest.raises(ValidationError, match="recursion limit"):
        Fact.model_validate_json(deep)


def test_what_is_allowed_survives_json_and_both_ends() -> None:
    report = HostReport(vcpus=1, memory_mb=1, address="10.0.0.1", live_migration_uri="", self_fencing_lease_s=30)
    assert HostReport.model_validate(json.loads(report.model_dump_json())) == report
    assert isinstance(report.model_dump(mode="json"), Mapping)
