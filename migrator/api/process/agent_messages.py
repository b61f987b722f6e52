"""Reads agents' messages: in the agents' threads, never on the event loop.

Owns that no message is built whose parts are more than its size explains, and what an answer says of one that cannot be
read. How large a message may be is the gate's to check, by ``protocol/message_sizes.py``.
"""

from collections.abc import Mapping
from typing import TypeVar

import orjson
from pydantic import BaseModel

from migrator.api.validation import validated
from migrator.errors import BadRequest
from migrator.protocol import message_sizes

Read = TypeVar("Read", bound=BaseModel)


def read(kind: type[Read], content: bytes) -> Read:
    """Raises BadRequest that names the fields."""
    parts = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if parts > message_sizes.PARTS_MAX:
        raise BadRequest(f"body: expected at most {message_sizes.PARTS_MAX} values, found some {parts}")
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"body: expected JSON: {error}") from error
    return validated(kind, value)


def read_each(kind: type[Read], contents: Mapping[str, bytes]) -> tuple[dict[str, Read], dict[str, Exception]]:
    """By host: what can be read, and what is wrong with the others."""
    found: dict[str, Read] = {}
    wrong: dict[str, Exception] = {}
    for host, content in contents.items():
        try:
            found[host] = read(kind, content)
        except BadRequest as error:
            wrong[host] = error
    return found, wrong
