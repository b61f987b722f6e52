"""Webhooks: events reach a real receiver, signed, in order, and again where it did not take them, by any server."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from migrator.db import events
from migrator.db.engine import Database
from migrator.db.tables import events as timeline
from migrator.db.tables import webhooks as table
from migrator.event_types import EventType
from migrator.server import webhook_sender
from migrator.server.webhook_sender import WebhookSender, pause_s
from tests.api.harness import Answered, Web
from tests.waiting import wait_for


class Receiver:
    """``answers``: the status of the next answers, 200 after them; ``got``: headers and body of each request."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.hold.wait(30)
                payload = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if outer.answers else 200
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, payload))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/hook"

    @property
    def messages(self) -> list[str]:
        return [json.loads(payload)["data"]["message"] for _, payload in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.hold.set()
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def web(db: Database, tmp_path: Path) -> Iterator[Web]:
    made = Web(db, tmp_path, webhook_networks=("127.0.0.0/8",))
    yield made
    made.services.db.close()


def create(web: Web, url: str, *names: str, name: str = "hook") -> Answered:
    wanted = {"name": name, "url": url, "events": list(names)}
    return Answered(web("POST", "/v1/webhooks", None, json={"webhook": wanted}))


def happens(web: Web, *messages: str, name: EventType = EventType.ALARM) -> None:
    with web.db.write() as connection:
        for message in messages:
            events.add(connection, name, message, host="n1")


def sender(web: Web) -> WebhookSender:
    return WebhookSender(web.services, threading.Event())


def retried_now(web: Web) -> None:
    """The pause is over."""
    with web.db.write() as connection:
        connection.execute(update(table).values(next_at=0.0))


def deliveries(web: Web, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web("GET", f"/v1/webhooks/hook/deliveries{query}", None).json()["deliveries"]
    return found


def test_an_event_arrives_as_a_signed_cloud_event(web: Web, receiver: Receiver) -> None:
    happens(web, "before")
    made = create(web, receiver.url)
    assert made.status == 201
    happens(web, "n1 is silent")
    sender(web).send_due()
    ((headers, payload),) = receiver.got
    event = json.loads(payload)
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "org.migrator.alarm", "n1")
    assert event["source"] == f"urn:uuid:{made.json['webhook']['id']}"
    assert event["data"]["message"] == "n1 is silent"
    assert event["time"].endswith("Z")
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert headers["host"] == receiver.url.split("/")[2]
    assert headers["webhook-id"] == event["id"]
    key = base64.b64decode(made.json["webhook"]["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + payload
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    (told,) = deliveries(web)
    assert (told["state"], told["attempts"], told["status"], told["error"]) == ("delivered", 1, 200, None)


def test_what_is_not_taken_is_sent_again_in_order_and_under_the_same_id(web: Web, receiver: Receiver) -> None:
    create(web, receiver.url)
    happens(web, "one", "two")
    receiver.answers = [500, 302]
    for _ in range(3):
        sender(web).send_due()
        sender(web).send_due()  # its pause is not over
        retried_now(web)
    assert receiver.messages == ["one", "one", "one", "two"]
    assert len({headers["webhook-id"] for headers, _ in receiver.got[:3]}) == 1
    told = [(row["state"], row["attempts"], row["status"]) for row in reversed(deliveries(web))]
    assert told == [("delivered", 3, 200), ("delivered", 1, 200)]
    assert deliveries(web, "?state=failing") == []


def test_pauses_grow_to_five_minutes() -> None:
    assert [pause_s(attempts) for attempts in (1, 2, 3, 6, 7, 5000)] == [5, 10, 20, 160, 300, 300]


def test_an_event_that_is_not_taken_for_too_long_is_given_up_and_the_next_one_is_sent(
    web: Web, receiver: Receiver
) -> None:
    create(web, receiver.url)
    happens(web, "one", "two")
    receiver.answers = [503, 503]
    sender(web).send_due()
    shown = web("GET", "/v1/webhooks", None).json()["webhooks"][0]
    assert (shown["behind"], shown["attempts"], shown["failing_since"] is None) == (2, 1, False)
    with web.db.write() as connection:
        connection.execute(update(table).values(next_at=0.0))
        connection.execute(update(timeline).where(timeline.c.message == "one").values(at=timeline.c.at - 259200))
    sender(web).send_due()
    assert receiver.messages == ["one", "one", "two"]
    assert [(row["event_name"], row["state"]) for row in deliveries(web)] == [
        ("alarm", "delivered"),
        ("alarm", "given up"),
    ]
    assert web("GET", "/v1/webhooks", None).json()["webhooks"][0]["behind"] == 0


def test_of_two_servers_one_sends_and_a_killed_one_s_turn_ends_by_time(web: Web, receiver: Receiver) -> None:
    create(web, receiver.url)
    happens(web, "one", "two", "three")
    receiver.hold.clear()
    first = threading.Thread(target=sender(web).send_due)
    first.start()
    wait_for(lambda: claimed(web), 10, "the first server's turn")
    sender(web).send_due()
    receiver.hold.set()
    first.join()
    assert receiver.messages == ["one", "two", "three"]
    happens(web, "four")
    with web.db.write() as connection:  # a server took its turn, and was killed
        connection.execute(update(table).values(claimed_by="gone", claimed_until=2e10))
    sender(web).send_due()
    assert len(receiver.got) == 3
    with web.db.write() as connection:
        connection.execute(update(table).values(claimed_until=1.0))
    sender(web).send_due()
    assert receiver.messages[3:] == ["four"]


def test_a_server_that_ends_gives_its_turn_back(web: Web, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_sender, "_GRACE_S", 0.05)
    create(web, receiver.url)
    happens(web, "one")
    receiver.hold.clear()
    stop = threading.Event()
    thread = threading.Thread(target=WebhookSender(web.services, stop).run)
    thread.start()
    wait_for(lambda: claimed(web), 10, "the server's turn")
    stop.set()
    thread.join(20)
    assert not claimed(web)
    receiver.hold.set()
    sender(web).send_due()
    assert set(receiver.messages) == {"one"}


def claimed(web: Web) -> bool:
    with web.db.read() as connection:
        return connection.execute(table.select()).one().claimed_by is not None


def test_only_what_was_asked_for_is_sent(web: Web, receiver: Receiver) -> None:
    create(web, receiver.url, "alarm")
    happens(web, "one", name=EventType.PHASE_ENTERED)
    happens(web, "two")
    sender(web).send_due()
    assert receiver.messages == ["two"]


def test_a_server_s_thread_sends_until_it_is_stopped(web: Web, receiver: Receiver) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=WebhookSender(web.services, stop).run)
    thread.start()
    try:
        create(web, receiver.url)
        happens(web, "one")
        wait_for(lambda: receiver.got, 10, "the event")
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://hooks.example/", "expected https://HOST"),
        ("https://169.254.169.254/latest", "not in webhook_networks"),
        ("http://93.184.216.34/", "by https alone"),
    ],
)
def test_an_address_that_nothing_is_sent_to_is_refused(web: Web, url: str, message: str) -> None:
    refused = create(web, url)
    assert (refused.status, message in refused.json["error"]["message"]) == (400, True)


def test_a_name_is_judged_by_the_address_that_it_has_when_it_is_sent_to(web: Web, receiver: Receiver) -> None:
    port = receiver.http.server_address[1]
    assert create(web, f"https://localhost:{port}/").status == 201
    happens(web, "one")
    settings = web.services.settings.model_copy(update={"webhook_networks": ()})
    WebhookSender(replace(web.services, settings=settings), threading.Event()).send_due()
    (told,) = deliveries(web, "?state=failing")
    assert "is not of the public internet" in told["error"]
    assert receiver.got == []


def test_a_name_that_no_event_has_is_refused(web: Web, receiver: Receiver) -> None:
    assert create(web, receiver.url, "alarms").status == 400


def test_webhooks_are_listed_without_their_secret_and_deleted(web: Web, receiver: Receiver) -> None:
    assert create(web, receiver.url).status == 201
    assert create(web, receiver.url).status == 409
    listed = web("GET", "/v1/webhooks", None).json()["webhooks"]
    assert [row["name"] for row in listed] == ["hook"]
    assert "secret" not in listed[0]
    happens(web, "one")
    sender(web).send_due()
    assert web("DELETE", "/v1/webhooks/hook", None).status_code == 204
    assert web("GET", "/v1/webhooks/hook/deliveries", None).status_code == 404
    sender(web).send_due()
    assert len(receiver.got) == 1
