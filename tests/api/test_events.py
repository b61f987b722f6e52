"""GET /v1/events: what happens, as server-sent events that are resumed where they were left."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from migrator.api.process import event_feed
from migrator.db import event_stream, events
from migrator.db.tables import events as table
from migrator.event_types import EventType
from tests.api import seed
from tests.api.harness import Web, _portal


def happen(web: Web, *messages: str, **about: Any) -> None:
    with web.db.write() as connection:
        for message in messages:
            events.add(connection, EventType.NOTE, message, **about)


def followed(web: Web, query: str = "", **headers: str) -> tuple[list[dict[str, Any]], Any]:
    """The events of one stream, with their names, and the answer."""
    answer = web("GET", f"/v1/events{query}", None, headers=headers)
    return parsed(answer.text), answer


def parsed(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "data" in fields:
            found.append({"event": fields.get("event", "message"), **json.loads(fields["data"])})
    return found


def test_a_stream_begins_now_and_is_resumed_after_the_event_that_its_client_saw_last(web: Web) -> None:
    key = seed.migration(web.db, uuid := seed.instance(web.db, "a"))
    happen(web, "one")
    begun, answer = followed(web)
    assert begun == []
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "text/event-stream; charset=utf-8",
        "no-store",
    )
    last = answer.text.rstrip().rpartition("id: ")[2]
    happen(web, "two\nid: 9", operation_id=key, instance_uuid=uuid, host="compute1", phase="copy", epoch=2)
    happen(web, "three", host="compute2")
    two, three = followed(web, **{"Last-Event-ID": last})[0]
    assert (two["message"], two["name"], two["phase"], two["epoch"]) == ("two\nid: 9", "note", "copy", 2)
    assert (two["operation"]["id"], two["operation"]["kind"]) == (key, "live-migration")
    assert (three["operation"], three["instance"], three["host"]) == (None, None, "compute2")
    assert followed(web, f"?after={two['id']}")[0] == [three]
    assert followed(web, f"?after={last}&instance={uuid}")[0] == [two]
    only, answer = followed(web, "?after=0&host=compute2")
    assert only == [three]
    assert answer.text.endswith(f"id: {three['id']}\n\n"), "a filter's stream is resumed after what it passed over"


@pytest.mark.parametrize("last", ["99999", "missing too many"])
def test_a_stream_that_cannot_be_resumed_says_so_and_begins_now(
    web: Web, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a database that was restored, and of a client that was away for long."""
    monkeypatch.setattr("migrator.api.v1.events._MOST_RESUMED", 2)
    happen(web, "one", "two", "three", "four")
    (told,) = followed(web, **{"Last-Event-ID": last if last.isdecimal() else "1"})[0]
    assert (told["event"], set(told)) == ("missed", {"event", "begins_after"})
    assert followed(web, f"?after={told['begins_after'] - 1}")[0][0]["message"] == "four"


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("", {"Last-Event-ID": "x" * 99}, "Last-Event-ID is 'xxx"),
        ("", {"Last-Event-ID": "-1"}, "expected a whole number"),
        ("", {"Last-Event-ID": "9" * 30}, "expected a whole number"),
        ("?after=-1", {}, "after"),
        ("?instances=x", {}, "known here: after, host, instance"),
        ("?host=", {}, "host"),
    ],
)
def test_what_is_no_place_in_the_stream_is_refused(
    web: Web, query: str, headers: dict[str, str], expected: str
) -> None:
    answer = web("GET", f"/v1/events{query}", None, headers=headers)
    assert answer.status_code == 400
    assert expected in answer.json()["error"]["message"]


def test_streams_are_counted_for_each_caller_and_in_all_and_given_back_at_their_end(web: Web) -> None:
    feed = web.services.events
    leave = [feed.enter("admin") for _ in range(event_feed._MOST_OF_ONE)]
    refused = web("GET", "/v1/events", None)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    leave.pop()()
    for _ in range(2):
        assert web("GET", "/v1/events", None).status_code == 200
    others = [feed.enter(f"user{n}") for n in range(event_feed._MOST - len(leave))]
    assert web("GET", "/v1/events", None).status_code == 503
    for one in leave + others:
        one()
    assert not feed._open


def test_what_happens_is_sent_while_the_stream_is_open_and_a_client_that_leaves_ends_it(web: Web) -> None:
    web.services.events.longest_s, web.services.events.pace_s = 60.0, 0.01

    def new(text: str) -> bool:
        if "retry:" in text and "happens now" not in text:
            happen(web, "happens now")
        return "happens now" in text

    assert "happens now" in _portal().call(stream, web, new)
    assert not web.services.events._open


def test_a_server_that_stops_ends_its_streams(web: Web) -> None:
    web.services.events.longest_s = 60.0
    web.services.notifier.close()
    assert web("GET", "/v1/events", None).status_code == 200


async def stream(web: Web, enough: Callable[[str], bool]) -> str:
    """All that is sent until it is enough; then the client goes away."""
    import anyio

    gone, sent = anyio.Event(), ""
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        for message in asked:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += message.get("body", b"").decode()
        if await anyio.to_thread.run_sync(enough, sent):
            gone.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/events",
        "raw_path": b"/v1/events",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 50000),
        "asgi": {"spec_version": "2.3"},
    }
    with anyio.fail_after(10):
        await web.app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ([(5, 0.1), (6, 0.0)], 6),
        ([(6, 0.1)], 4),
        ([(5, 0.2), (7, 0.1), (8, 0.0)], 5),
        ([(7, 0.5), (8, 0.0)], 4),
        ([(7, event_stream.OPEN_S), (8, 0.0)], 8),
        ([(7, -50.0)], 7),
        ([], 4),
    ],
    ids=["whole", "one missing", "one missing later", "young", "never used", "clock set back", "nothing"],
)
def test_a_number_that_may_still_appear_is_waited_for(found: list[tuple[int, float]], passed: int) -> None:
    assert event_stream.passed(4, found) == passed


def test_an_event_of_a_transaction_that_ends_late_is_not_passed(web: Web) -> None:
    """On PostgreSQL a number is taken before its event can be seen; on SQLite there is one writer."""
    if web.db.is_sqlite:
        return
    happen(web, "one")
    with web.db.read() as connection:
        known = event_stream.settled(connection, None)
    with web.db.engine.connect() as late, late.begin():
        late.execute(insert(table).values(at=0.0, name="note", message="late"))
        happen(web, "after it")
        with web.db.read() as connection:
            assert event_stream.settled(connection, known) == known
    with web.db.read() as connection:
        assert event_stream.settled(connection, known) == known + 2
