"""``/v1/webhooks``: receivers that are told of events by signed requests, and what became of each delivery.

A webhook never changes: another address, or another secret, is another webhook. Nothing is sent here; the address is
judged here and again at each attempt (``untrusted/receiver.py``).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from migrator.api.routing import Answer, ApiRequest
from migrator.api.timestamps import iso_us
from migrator.api.v1.webhook_message import new_secret
from migrator.db import event_stream
from migrator.db import webhooks as rows
from migrator.db.rows import WebhookRow
from migrator.errors import BadRequest
from migrator.event_types import EventType
from migrator.untrusted import receiver

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\ufffe\uffff]+$")]
EventName = Annotated[str, Field(pattern=f"^({'|'.join(EventType)})$")]
_MOST_NAMES = 64


class NewWebhook(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    url: str = Field(min_length=1, max_length=2000, description="https://HOST[:PORT][/PATH] that takes the events")
    events: list[EventName] = Field(
        default_factory=list, max_length=_MOST_NAMES, description="names of the events that are sent; without any, all"
    )


class NewWebhookRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    webhook: NewWebhook


class DeliveriesQuery(BaseModel):
    state: Literal["delivered", "failing", "given up"] | None = None
    limit: int = Field(100, ge=1, le=1000)


def create(request: ApiRequest) -> Answer:
    """It is told of what happens from now on. The answer alone has ``secret``, by which deliveries are signed. Errors:
    400 for an address that nothing is sent to; 403 for a webhook too many; 409 for a known name."""
    wanted: NewWebhook = request.body.webhook
    _check(wanted.url, request.services.settings.webhook_networks)
    secret = new_secret()
    with request.services.db.write() as connection:
        newest = event_stream.newest(connection)
        made = rows.create(connection, wanted.name, wanted.url, secret, wanted.events, newest)
    return Answer(201, {"webhook": _view(made, newest) | {"secret": secret}})


def index(request: ApiRequest) -> Answer:
    """By name. ``behind``: how many events happened after the last one that it was told of, or that it did not ask
    for; ``failing_since``: since when its receiver takes none."""
    with request.services.db.read() as connection:
        found, newest = rows.every(connection), event_stream.newest(connection)
    return Answer(200, {"webhooks": [_view(row, newest) for row in found]})


def delete(request: ApiRequest) -> Answer:
    """By id or name, with its deliveries. One that is under way may still arrive. Errors: 404."""
    with request.services.db.write() as connection:
        rows.remove(connection, request.params["ident"])
    return Answer(204)


def deliveries(request: ApiRequest) -> Answer:
    """Newest first, of the last 1000: how often each event was sent, and what the receiver answered last. Errors:
    404."""
    query: DeliveriesQuery = request.query
    with request.services.db.read() as connection:
        webhook = rows.get(connection, request.params["ident"])
        found = rows.deliveries(connection, webhook.id, query.state, query.limit)
    return Answer(200, {"deliveries": [_delivery(row) for row in found]})


def _check(url: str, networks: tuple[str, ...]) -> None:
    try:
        to = receiver.parse(url)
    except ValueError as error:
        raise BadRequest(f"url: {error}") from error
    if message := receiver.refusal_of_literal(to, networks):
        advice = "name the receiver's network in the servers' webhook_networks, if it is to be reached"
        raise BadRequest(f"url: {message}", advice=advice)
    if to.scheme == "http" and not networks:
        raise BadRequest("url: webhooks are sent by https, but to what webhook_networks names")


def _view(row: WebhookRow, newest: int) -> dict[str, Any]:
    return {
        "id": row.uuid,
        "name": row.name,
        "url": row.url,
        "events": list(row.events),
        "behind": max(0, newest - row.cursor),
        "attempts": row.attempts,
        "failing_since": iso_us(row.failing_since),
        "next_at": iso_us(row.next_at) if row.attempts else None,
        "created_at": iso_us(row.created_at),
    }


def _delivery(row: Any) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("event_id", "event_name", "state", "attempts", "status", "error")}
    return same | {"first_at": iso_us(row.first_at), "last_at": iso_us(row.last_at)}
