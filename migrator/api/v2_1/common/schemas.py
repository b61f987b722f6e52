"""Parts of JSON schemas that resources share: texts, counts, booleans as Nova reads them. Data only.

A ``Versioned`` is a tuple of (from microversion, schema), ascending: a request is held against the last entry that is
not above its own microversion.
"""

from typing import Any

from migrator.api.json_schema import INT32

Schema = dict[str, Any]
Version = tuple[int, int]
Versioned = tuple[tuple[Version, Schema], ...]

V1: Version = (2, 1)
_MOST_PAIRS = 1000  # of metadata that are looked at; those beyond the quota are refused as such
_MOST_VALUES = 1000  # of one query parameter

TRUE = [True, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
FALSE = [False, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
BOOLEAN: Schema = {"type": ["boolean", "string"], "enum": TRUE + FALSE}
NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[^\x00-\x1f]*(?<!\s)$",
}
TEXT: Schema = {"type": "string", "maxLength": 255}
NULL_TEXT: Schema = {
    "type": ["string", "null"],
    "maxLength": 255,
    "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$",
}
COUNT: Schema = {
    "type": ["integer", "string"],
    "pattern": r"^[0-9]*$",
    "minimum": 1,
    "minLength": 1,
    "format": INT32,
}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"^[^,/]*$"}
METADATA: Schema = {
    "type": "object",
    "patternProperties": {r"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
    "additionalProperties": False,
    "maxProperties": _MOST_PAIRS,
}
HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[a-zA-Z0-9-._]*$"}


def space_separated(text: str) -> list[str]:
    return text.split()


def closed(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(schema: Schema, most: int = _MOST_VALUES) -> Schema:
    """Every parameter may be given more than once."""
    return {"type": "array", "items": schema, "maxItems": most}
