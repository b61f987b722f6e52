"""Reads a client's body as JSON. Its kind and size are the gate's to check; its schema is its route's."""

from typing import Any

import orjson

from migrator.api import json_schema
from migrator.errors import BadRequest

MAX_BODY_BYTES = 114_688  # Nova's oslo.middleware default


def parsed(content: bytes) -> Any:
    """The value; None: there is no body. Raises BadRequest."""
    if not content:
        return None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadRequest("Malformed request body") from error
    if json_schema.MAY_HIDE.search(content):
        json_schema.check_characters(found)
    return found
