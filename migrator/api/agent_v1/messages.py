"""Reads agents' messages: in the agents' threads, never on the event loop.

Owns that no message is built whose parts are more than its size explains, and what an answer says of one that cannot be
read. How large a message may be is the gate's to check, by ``protocol/message_sizes.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from migrator.errors import BadRequest
from migrator.protocol import message_sizes

_TOLD = 3  # of what is wrong with a message
_WORDS_MAX = 1000  # characters of that
Read = TypeVar("Read", bound=BaseModel)


def read(kind: type[Read], content: bytes) -> Read:
    """Raises BadRequest that names the fields."""
    parts = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if parts > message_sizes.PARTS_MAX:
        raise BadRequest(f"body: expected at most {message_sizes.PARTS_MAX} values, found some {parts}")
    try:
        return kind.model_validate(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: expected JSON: {error}") from error
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        words = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in found[:_TOLD]]
        more = [f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
        raise BadRequest("; ".join(words + more)[:_WORDS_MAX]) from error


_PLACE = "#/components/schemas/{model}"


def documented(kind: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that takes the message."""
    schema = {"$ref": _PLACE.format(model=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def schemas(kinds: Sequence[type[BaseModel]]) -> Mapping[str, Any]:
    """What that names: the messages and their parts."""
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(kind, "validation") for kind in kinds]
    found: Mapping[str, Any] = models_json_schema(asked, ref_template=_PLACE)[1]["$defs"]
    return found
