"""What a webhook's receiver gets: one event in CloudEvents' form, signed as Standard Webhooks has it. Pure.

Owns the form. An event's ``source`` and ``id`` are the same in each attempt, so that a receiver tells a repetition.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import Any

import orjson

from migrator.api.v1.events import view
from migrator.db.rows import WebhookRow

_PREFIX = "whsec_"
_TYPE = "org.migrator."


def new_secret() -> str:
    """32 random bytes, as Standard Webhooks writes them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def body(webhook: WebhookRow, event: Any) -> bytes:
    """A CloudEvent 1.0 as JSON. ``event``: a row of ``event_stream``."""
    cloud_event = {
        "specversion": "1.0",
        "id": ident(event),
        "source": f"urn:uuid:{webhook.uuid}",
        "type": f"{_TYPE}{event.name}",
        "time": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": view(event),
    }
    if subject := event.instance_uuid or event.host:
        cloud_event["subject"] = subject
    return orjson.dumps(cloud_event)


def ident(event: Any) -> str:
    """Number and time: a database that was restored gives the number again to another event."""
    return f"{event.id}-{int(event.at * 1_000_000)}"


def headers(webhook: WebhookRow, event: Any, payload: bytes, sent_at: int) -> dict[str, str]:
    """``sent_at``: s since the epoch, which is signed too, so that a receiver refuses an old delivery."""
    signed = b".".join((ident(event).encode(), str(sent_at).encode(), payload))
    key = base64.b64decode(webhook.secret.removeprefix(_PREFIX))
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "migrator-webhook/1",
        "webhook-id": ident(event),
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{signature}",
    }
