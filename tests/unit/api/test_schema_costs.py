"""No body within the size limit is much work to hold against its schema, whatever fills it.

The work is counted in calls of functions, which is the same at every run, and not in seconds.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pytest

from migrator.api import json_schema
from migrator.api.json_body import MAX_BODY_BYTES
from migrator.api.urls import COMPUTE
from migrator.api.v2_1.actions import schemas as action_schemas
from migrator.api.v2_1.actions.dispatch import ACTIONS
from migrator.api.v2_1.servers.schemas import CREATE
from migrator.errors import BadRequest

MOST_CALLS = 40_000  # a body that is right takes up to some 3,000; a list of 56,000 zeros took millions
HEAD_BYTES = 65_536  # of a request, its query included
FILLINGS: Sequence[Any] = (0, {}, {"uuid": 1, "port": 1, "fixed_ip": 1, "tag": 1})
Schema = Mapping[str, Any]


def calls(schema: Schema, value: Any, *, query: bool = False) -> int:
    count = 0

    def note(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        json_schema.check(schema, value, query=query)
    except BadRequest:
        pass
    finally:
        sys.setprofile(None)
    return count


def schemas() -> dict[str, tuple[Schema, bool]]:
    """Name -> every schema of every route and action, and whether it is a query's."""
    tables = {f"{route.method} {route.path}": (route.body, route.query) for route in COMPUTE}
    tables |= {f"action {name}": (rule.body, None) for name, rule in ACTIONS.items()}
    tables["force_complete"] = (action_schemas.FORCE_COMPLETE, None)
    return {
        f"{name} {kind} {version}": (schema, kind == "query")
        for name, both in tables.items()
        for kind, table in zip(("body", "query"), both, strict=True)
        for version, schema in (table if isinstance(table, tuple) else ())
    }


SCHEMAS = schemas()


def places(schema: Schema, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The way to each value of a body, and its schema."""
    yield way, schema
    for name, part in schema.get("properties", {}).items():
        yield from places(part, (*way, name))


def different() -> Mapping[bytes, tuple[Schema, tuple[str, ...]]]:
    """Each place of which no other has the same schema: (the body's schema, the way there)."""
    return {
        orjson.dumps(part, option=orjson.OPT_SORT_KEYS): (schema, way)
        for schema, query in SCHEMAS.values()
        if not query
        for way, part in places(schema)
    }


def put(way: tuple[str, ...], value: Any) -> Any:
    for name in reversed(way):
        value = {name: value}
    return value


def filled(filling: Any, limit: int) -> Iterator[Any]:
    """A list and a mapping of as many of these as fit."""
    size = len(orjson.dumps(filling))
    yield [filling] * ((limit - 200) // (size + 1))
    yield {str(number): filling for number in range((limit - 200) // (size + 9))}


def test_a_body_of_the_largest_size_is_little_work_to_validate() -> None:
    found = different()
    assert len(found) > 50
    for schema, way in found.values():
        calls(schema, {})  # the validator itself is made once
        for filling in FILLINGS:
            for value in filled(filling, MAX_BODY_BYTES):
                assert calls(schema, put(way, value)) < MOST_CALLS, (way, filling, type(value))


def test_a_query_of_the_largest_size_is_little_work_to_validate() -> None:
    queries = {orjson.dumps(schema): schema for schema, query in SCHEMAS.values() if query}
    parameters = {
        orjson.dumps(part): (name, s) for s in queries.values() for name, part in s.get("properties", {}).items()
    }
    for name, schema in parameters.values():
        calls(schema, {}, query=True)
        times = HEAD_BYTES // (len(name) + 2)
        assert calls(schema, {name: [""] * times}, query=True) < 10 * MOST_CALLS, name


def test_every_list_whose_items_are_looked_at_has_a_length() -> None:
    def walk(schema: Any) -> Iterator[Mapping[str, Any]]:
        if isinstance(schema, list):
            for part in schema:
                yield from walk(part)
        elif isinstance(schema, Mapping):
            yield schema
            for part in schema.values():
                yield from walk(part)

    for name, (schema, _) in SCHEMAS.items():
        for part in walk(schema):
            if isinstance(part.get("items"), Mapping):
                assert "maxItems" in part, (name, part)
            if "patternProperties" in part:
                assert "maxProperties" in part, (name, part)


def refusal(**server: Any) -> str:
    body = {"server": {"name": "a", "flavorRef": "1", "networks": "none"} | server}
    with pytest.raises(BadRequest) as refused:
        json_schema.check(CREATE[-1][1], body)
    return refused.value.message


def test_what_is_too_long_is_said_of_it_alone() -> None:
    message = refusal(networks=[0] * 50_000)
    assert message.startswith("Invalid input for field/attribute networks. Value: [0, 0, ")
    assert message.endswith("is too long: at most 32 are allowed, found 50000")
    assert refusal(metadata={str(number): 1 for number in range(9000)}).endswith("found 9000")


def test_a_wrong_network_is_named_instead_of_all_that_a_network_may_be() -> None:
    assert (
        refusal(networks=[{"uuid": 7}]) == "Invalid input for field/attribute uuid. Value: 7. 7 is not of type 'string'"
    )
    assert refusal(networks="some").startswith("Invalid input for field/attribute networks. Value: some. 'some' is not")
    assert refusal(networks=7).endswith("7 is not valid under any of the given schemas")
    assert refusal(imageRef="x").endswith("'x' is not valid under any of the given schemas")
