"""Values that some parser, column or header does not expect, and bodies that hold one of them in one place."""

import copy
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.api import seed

# What a valid body needs in a field of this name, so that more than the first check is reached.
KNOWN: Mapping[str, Sequence[Any]] = {
    "flavorRef": ("1",),
    "imageRef": (seed.IMAGE,),
    "networks": ("none", "auto", []),
    "name": ("x",),
    "host": ("compute1", "compute2"),
    "binary": ("nova-compute",),
    "min_count": (1, "2"),
    "max_count": (3, "2"),
    "source": ("nbd://h:1/e",),
    "wait_s": (0.0,),
    "xml": ("<cpu/>",),
    "config_drive": (True, False),
    "user_data": (None,),
    "hostname": (None,),
    "key_name": (None,),
    "availability_zone": ("nova",),
    "operation_id": (seed.IMAGE,),
    "uuid": (seed.IMAGE,),
}
TEXTS: Sequence[str] = (
    "",
    " ",
    "x\n",
    "1\n",
    "\x00",
    "a\x00b",
    "9" * 5000,
    "-1",
    "0",
    "1e400",
    "2147483648",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999",
    "٣",
    "²",
    "日本語",
    "\ufffe",
    "\U0001f600" * 80,
    "n" * 255,
    "n" * 256,
    "n" * 70_000,
    f"urn:uuid:{seed.IMAGE}",
    "{" + seed.IMAGE + "}",
    seed.IMAGE.upper(),
    seed.IMAGE.replace("-", ""),
    "(" * 3000,
    "(a+)+$",
    "%s%n",
    "../../etc/passwd",
    "a,b" * 2000,
    "true",
    "None",
    "nan",
    "inf",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "'; DROP TABLE instances; --",
    "<x>&amp;",
    "\\u0000",
    "\x7f\x1b[31m",
)
VALUES: Sequence[Any] = (
    *TEXTS,
    None,
    True,
    0,
    -1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -(2**63),
    1e308,
    -1e308,
    0.1,
    [],
    {},
    [[]],
    ["x"] * 3000,
    [None],
    {"": ""},
    {"a": {"b": {"c": []}}},
    {f"k{number}": "v" for number in range(1500)},
    [{"uuid": seed.IMAGE}] * 300,
)
# What no JSON library writes: put in place of a mark in the text of a body.
RAW: Sequence[bytes] = (
    b"9" * 5000,
    b"-" + b"9" * 30,
    b"1e400",
    b"NaN",
    b"Infinity",
    b"18446744073709551616",
    b'"\\ud800"',
    b'"\\u0000"',
    b"[" * 3000 + b"]" * 3000,
    b"[" * 3000,
    b'{"a":1,"a":2}',
    b"\xff\xfe",
    b"",
    b"1_0",
)
MARK = "@raw@"


def sample(schema: Any, definitions: Mapping[str, Any], rng: random.Random, name: str = "", depth: int = 0) -> Any:
    """A value that the schema takes, or nearly."""
    schema = _resolved(schema, definitions)
    if name in KNOWN and rng.random() < 0.9:
        return rng.choice(KNOWN[name])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return sample(rng.choice(schema[several]), definitions, rng, name, depth + 1)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kinds = schema.get("type", "object")
    return _of_kind(rng.choice(kinds) if isinstance(kinds, list) else kinds, schema, definitions, rng, depth)


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    return dict(schema)


def _of_kind(
    kind: str, schema: Mapping[str, Any], definitions: Mapping[str, Any], rng: random.Random, depth: int
) -> Any:
    if kind == "object":
        return _object(schema, definitions, rng, depth)
    if kind == "array":
        number = max(rng.choice((0, 1, 2)), schema.get("minItems", 0))
        return [
            sample(schema.get("items", {"type": "string"}), definitions, rng, depth=depth + 1) for _ in range(number)
        ]
    if kind == "string":
        return "1" if "0-9]*" in schema.get("pattern", "") or "0-9]+" in schema.get("pattern", "") else "text"
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return {"integer": int(least) + 1, "number": float(least) + 1, "boolean": rng.random() < 0.5}.get(kind)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any], rng: random.Random, depth: int) -> Any:
    required, found = set(schema.get("required", ())), {}
    for name, inner in schema.get("properties", {}).items():
        if name in required or (depth < 6 and rng.random() < 0.3):
            found[name] = sample(inner, definitions, rng, name, depth + 1)
    more = schema.get("additionalProperties")
    inner = next(iter(schema.get("patternProperties", {}).values()), more if isinstance(more, dict) else None)
    if inner is not None and depth < 6:
        found |= {
            f"k{number}": sample(inner, definitions, rng, depth=depth + 1) for number in range(rng.choice((1, 2)))
        }
    return found


def spoilt(body: Any, rng: random.Random) -> Any:
    """The body with one hostile value somewhere, or one hostile key."""
    body = copy.deepcopy(body)
    places = list(_places(body))
    if not places or rng.random() < 0.03:
        return rng.choice(VALUES)
    container, key = rng.choice(places)
    if isinstance(container, dict) and rng.random() < 0.1:
        container[rng.choice((*TEXTS, MARK))] = rng.choice(VALUES)
    else:
        container[key] = MARK if rng.random() < 0.15 else rng.choice(VALUES)
    return body


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)
