"""``/v1/events``: what happens, as server-sent events, resumable by ``Last-Event-ID``.

Owns the form of the stream. Never skips an event without a word: where one cannot be resumed, the client is told so.
How often the timeline is looked at, and how many may follow it, is ``process/event_feed.py``'s.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from migrator.api.process.event_feed import PAGE
from migrator.api.routing import ApiRequest
from migrator.api.timestamps import iso_us
from migrator.errors import BadRequest, MigratorError

_LAST = 2**31 - 1
_MOST_RESUMED = 10_000  # events that are sent again; a client that has missed more reads its lists anew
_ALIVE_S = 15.0  # without an event, until a line says that the stream is still there
_RETRY_MS = 2000  # a browser waits for so long before it connects again
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # proxies hand each event on at once
log = logging.getLogger(__name__)


class EventsQuery(BaseModel):
    instance: Annotated[str, Field(min_length=1, max_length=36, pattern=r"^[^\x00]*$")] | None = None
    host: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] | None = None
    after: int | None = Field(None, ge=0, le=_LAST, description="as Last-Event-ID, which wins")


async def follow(request: ApiRequest) -> StreamingResponse:
    """Everything that happens to operations, instances and hosts, oldest first, from now on, or after the event that
    ``Last-Event-ID`` or ``after`` names. Each is ``data:`` with one JSON object. An event of the name "missed" says
    that the stream could not be resumed where it was left: read what you show anew. It ends after five minutes, and
    goes on where it was left. Errors: 400; 429 and 503 for a stream too many."""
    query: EventsQuery = request.query
    feed = request.services.events
    after = _last_event_id(request.http)
    after = query.after if after is None else after
    now = await feed.settled()
    missed = after is not None and (now - after > _MOST_RESUMED or after > max(now, await feed.newest()))
    begin = now if after is None or missed else after
    return EventStream(_lines(request, query, begin, missed), feed.enter(request.caller.user_id))


class EventStream(StreamingResponse):
    """``leave``: called at its end, whatever ended it."""

    def __init__(self, lines: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(lines, headers=_HEADERS, media_type="text/event-stream")
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def _last_event_id(http: Request) -> int | None:
    given = http.headers.get("last-event-id", "").strip()
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and int(given[:11]) <= _LAST):
        raise BadRequest(
            f"Last-Event-ID is {given[:40]!r}, which is none of this stream's ids; expected a whole number, or nothing",
            advice="begin again without it",
        )
    return int(given)


async def _lines(request: ApiRequest, query: EventsQuery, at: int, missed: bool) -> AsyncIterator[bytes]:
    """Until the stream's time is over, the server stops, or the database cannot be read."""
    feed, clock = request.services.events, asyncio.get_running_loop().time
    ends, spoke = clock() + feed.longest_s, clock()
    yield f"retry: {_RETRY_MS}\n{_mark(at)}".encode()
    if missed:
        yield f"event: missed\n{_data({'begins_after': at})}".encode()
    try:
        while True:
            settled = await feed.settled()
            while at < settled:  # page by page: the next one is read when the client has taken this one
                until = min(settled, at + PAGE)
                for row in await feed.page(at, until, query.instance, query.host):
                    yield f"id: {row.id}\n{_data(view(row))}".encode()
                    spoke = clock()
                at = until
            if clock() >= ends or request.services.notifier.closing:
                break
            if clock() - spoke >= _ALIVE_S:
                yield _mark(at).encode()
                spoke = clock()
            await asyncio.sleep(feed.pace_s)
        yield _mark(at).encode()
    except MigratorError as error:
        log.debug("a stream of events ends: %s", error)


def _mark(at: int) -> str:
    """No event, but where to resume: a filter may have passed over many."""
    return f"id: {at}\n\n"


def _data(body: dict[str, Any]) -> str:
    return f"data: {orjson.dumps(body).decode()}\n\n"


def view(row: Any) -> dict[str, Any]:
    """One event, for people and programs. ``row``: of ``event_stream``."""
    operation = {"id": row.operation_id, "uuid": row.operation_uuid, "kind": row.operation_kind}
    return {
        "id": row.id,
        "at": iso_us(row.at),
        "name": row.name,
        "operation": operation if row.operation_id is not None else None,
        "instance": row.instance_uuid,
        "phase": row.phase,
        "epoch": row.epoch,
        "host": row.host,
        "message": row.message,
        "details": row.details,
    }
