"""What is refused by a request's head alone, before any of its body is read."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from migrator.api.identity.authenticator import Identity
from migrator.api.json_body import MAX_BODY_BYTES
from migrator.db import credentials
from migrator.db.engine import Database
from migrator.errors import DatabaseUnavailable, ServerBusy, Unauthorized
from migrator.protocol import message_sizes
from tests.api import seed
from tests.api.harness import Web

JSON = {"Content-Type": "application/json"}
OCTETS = {"Content-Type": "application/octet-stream"}
HUGE = str(500 * 1024**2)
PART = b"x" * 65_536
HOST = {"Host": "testserver"}


class Strangers:
    """The strategy that refuses every token."""

    challenge = None

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:  # noqa: ARG002 - the interface
        return None

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        raise Unauthorized("who are you?")


class Raw:
    """One request as a server hands it to the application; counts how often its body was asked for."""

    def __init__(self, web: Web, server: tuple[str, int] = ("127.0.0.1", 8774)) -> None:
        self._app: Any = web.app
        self._server = server
        self.parts_read, self.status = 0, 0

    def __call__(self, method: str, path: str, headers: dict[str, str], parts: int = 0, part: bytes = PART) -> "Raw":
        encoded = [(name.lower().encode(), value.encode()) for name, value in (HOST | headers).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": encoded,
            "server": self._server,
            "client": ("192.0.2.1", 4711),
        }

        async def receive() -> dict[str, Any]:
            self.parts_read += 1
            return {"type": "http.request", "body": part if parts else b"", "more_body": self.parts_read < parts}

        async def send(message: dict[str, Any]) -> None:
            self.status = message.get("status", self.status)

        asyncio.run(self._app(scope, receive, send))
        return self


@pytest.fixture
def two_doors(db: Database, tmp_path: Path) -> Iterator[Web]:
    made = Web(db, tmp_path, agent_listen="127.0.0.1:8775", allowed_hosts=())
    yield made
    made.services.db.close()


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("PUT", "/survey"), ("POST", "/facts"), ("POST", "/poll"), ("GET", "/questions")]
)
@pytest.mark.parametrize("credential", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}])
def test_nothing_of_a_body_is_read_without_an_agents_credential(
    web: Web, method: str, path: str, credential: dict[str, str]
) -> None:
    for size in ({"Content-Length": HUGE}, {"Transfer-Encoding": "chunked"}):
        asked = Raw(web)(method, f"/agent/v1/hosts/compute1{path}", JSON | size | credential, parts=8000)
        assert (asked.status, asked.parts_read) == (401, 0)


@pytest.mark.parametrize("path", ["/v2.1/servers", "/v1/volumes", "/v1/hosts/compute1/fence", "/image/v2/images"])
def test_nothing_of_a_body_is_read_before_its_caller_is_known(db: Database, tmp_path: Path, path: str) -> None:
    asked = Raw(Web(db, tmp_path, Strangers()))("POST", path, JSON | {"Content-Length": "9000"}, parts=1)
    assert (asked.status, asked.parts_read) == (401, 0)


@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("PUT", "/survey"), ("POST", "/facts"), ("POST", "/poll")])
@pytest.mark.parametrize("name", ["compute2", "compute", "compute1%2f", "Compute1", "compute%32"])
def test_nothing_of_a_body_is_read_for_another_agents_host(
    web: Web, db: Database, method: str, path: str, name: str
) -> None:
    own = {"Authorization": f"Bearer {credentials.issue(db, 'compute1')}", "Content-Length": "9000000"}
    asked = Raw(web)(method, f"/agent/v1/hosts/{name}{path}", JSON | own, parts=8000)
    assert (asked.status, asked.parts_read) == (403, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2.1/servers"),
        ("DELETE", "/v2.1/servers/x"),
        ("POST", "/v1/volumes"),
        ("POST", "/image/v2/images"),
        ("GET", "/"),
        ("POST", "/nowhere"),
    ],
)
def test_a_body_that_says_it_is_too_large_is_refused_unread(web: Web, method: str, path: str) -> None:
    asked = Raw(web)(method, path, JSON | {"Content-Length": HUGE}, parts=8000)
    assert (asked.status, asked.parts_read) == (413, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v2.1/servers"), ("POST", "/v1/volumes"), ("POST", "/image/v2/images"), ("PUT", "/v1/hosts/x/fence")],
)
def test_a_body_without_a_length_is_read_up_to_the_limit(web: Web, method: str, path: str) -> None:
    asked = Raw(web)(method, path, JSON | {"Transfer-Encoding": "chunked"}, parts=8000)
    assert asked.status in (404, 413)
    assert asked.parts_read * len(PART) <= MAX_BODY_BYTES + len(PART)


@pytest.mark.parametrize(
    ("method", "path", "size"),
    [
        ("PUT", "", message_sizes.REGISTRATION),
        ("POST", "/poll", message_sizes.POLL),
        ("POST", "/facts", message_sizes.FACTS),
        ("PUT", "/survey", message_sizes.SURVEY),
        ("GET", "/questions", message_sizes.OTHERS),
        ("PUT", "/facts/", message_sizes.OTHERS),
        ("POST", "/\nfacts", message_sizes.OTHERS),
    ],
)
def test_an_agents_message_is_read_up_to_its_own_limit(web: Web, method: str, path: str, size: int) -> None:
    own = JSON | {"Authorization": f"Bearer {credentials.issue(web.db, 'compute1')}"}
    path = f"/agent/v1/hosts/compute1{path}"
    announced = Raw(web)(method, path, own | {"Content-Length": str(size + 1)}, parts=8000)
    assert (announced.status, announced.parts_read) == (413, 0)
    streamed = Raw(web)(method, path, own | {"Transfer-Encoding": "chunked"}, parts=8000)
    assert streamed.status in (404, 413) or path.endswith("/questions")  # what asks for no body reads none
    assert streamed.parts_read * len(PART) <= size + len(PART)


def test_an_image_is_read_up_to_the_size_cap(db: Database, tmp_path: Path) -> None:
    web = Web(db, tmp_path, image_size_cap=200_000)
    wanted = {"name": "x", "disk_format": "raw", "container_format": "bare"}
    image = web("POST", "/image/v2/images", json=wanted).json()
    path = f"/image/v2/images/{image['id']}/file"
    announced = Raw(web)("PUT", path, OCTETS | {"Content-Length": HUGE}, parts=8000)
    streamed = Raw(web)("PUT", path, OCTETS | {"Transfer-Encoding": "chunked"}, parts=8000)
    assert (announced.status, announced.parts_read) == (413, 0)
    assert (streamed.status, streamed.parts_read) == (413, 4)
    web.services.db.close()


@pytest.mark.parametrize("path", ["/v2.1/flavors", "/v1/volumes", "/image/v2/images"])
@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"]
)
def test_a_body_of_another_kind_is_refused_unread_and_told_what_is_expected(
    web: Web, path: str, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    assert Raw(web)("POST", path, headers | {"Content-Length": "2"}, parts=1).parts_read == 0
    answer = web("POST", path, content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.text
    streamed = web("POST", path, content=iter([b"{", b"}"]), headers=headers)
    assert streamed.status_code == 415


@pytest.mark.parametrize("sized", [{}, {"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}])
def test_a_request_without_a_body_needs_no_kind(web: Web, sized: dict[str, str]) -> None:
    assert Raw(web)("GET", "/v2.1/flavors", sized).status == 200
    assert Raw(web)("DELETE", "/v2.1/flavors/1", sized).status == 404


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8774", "127.0.0.1:8774", "[::1]:8774", "LocalHost", "testserver", "testserver:1"]
)
def test_a_host_of_ours_is_answered(web: Web, host: str) -> None:
    assert Raw(web)("GET", "/v2.1/flavors", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8774", "127.0.0.1.evil.example", "localhost.evil", "192.0.2.7", ""]
)
def test_another_host_is_refused_by_the_settings_name(web: Web, host: str) -> None:
    assert Raw(web)("GET", "/v2.1/flavors", {"Host": host}).status == 400
    assert "allowed_hosts" in web("GET", "/v2.1/flavors", headers={"Host": host}).text


def test_agents_may_call_their_own_door_by_any_name_until_names_are_set(two_doors: Web, db: Database) -> None:
    token = {"Authorization": f"Bearer {credentials.issue(db, 'compute1')}"}
    path = "/agent/v1/hosts/compute1/questions"
    named = {"Host": "controller:8775"}
    seed.host(db, "compute1")
    at_agents, at_api = ("127.0.0.1", 8775), ("127.0.0.1", 8774)
    assert Raw(two_doors, at_agents)("GET", path, token | named).status == 200
    assert Raw(two_doors, at_api)("GET", path, token | named).status == 400
    assert Raw(two_doors, at_agents)("GET", "/v2.1/flavors", named).status == 403


def test_agents_are_held_to_names_that_were_set(db: Database, tmp_path: Path) -> None:
    seed.host(db, "compute1")
    web = Web(db, tmp_path, agent_listen="10.0.0.1:8775", allowed_hosts=("controller",))
    token = {"Authorization": f"Bearer {credentials.issue(db, 'compute1')}"}
    asked = {
        host: Raw(web, ("10.0.0.1", 8775))("GET", "/agent/v1/hosts/compute1/questions", token | {"Host": host}).status
        for host in ("controller:8775", "10.0.0.1:8775", "other:8775", "10.0.0.2")
    }
    assert asked == {"controller:8775": 200, "10.0.0.1:8775": 200, "other:8775": 400, "10.0.0.2": 400}
    web.services.db.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver:3000"},
        {"Origin": "https://testserver"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "Cross-Site", "Origin": "http://testserver"},
    ],
)
def test_a_page_of_another_origin_is_refused(web: Web, method: str, foreign: dict[str, str]) -> None:
    asked = Raw(web)(method, "/v2.1/flavors", foreign | JSON | {"Content-Length": "2"}, parts=1, part=b"{}")
    assert (asked.status, asked.parts_read) == (403, 0)


@pytest.mark.parametrize(
    "own",
    [
        {"Origin": "http://testserver"},
        {"Origin": "http://testserver:80", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:8774", "Host": "localhost:8774"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_our_own_and_a_typed_address_are_answered(web: Web, own: dict[str, str]) -> None:
    assert Raw(web)("GET", "/v2.1/flavors", own).status == 200


def test_refusals_are_logged_once_with_a_count_and_without_a_strangers_control_characters(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(50):
        Raw(web)("GET", f"/agent/v1/\x1b[31m\n{number}", {})
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(lines) == 1
    assert "credential" in lines[0]
    assert "192.0.2.1" in lines[0]
    assert "\x1b" not in lines[0]
    assert "\n" not in lines[0]


def test_answers_of_a_server_that_cannot_now_are_logged_once_a_minute_for_each_reason(
    web: Web, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any, **_more: Any) -> Any:
        raise ServerBusy("Very many ask at once.")

    def away(*_: Any, **_more: Any) -> Any:
        raise DatabaseUnavailable("the database cannot be used now")

    token = {"Authorization": f"Bearer {credentials.issue(web.db, 'compute1')}"}
    monkeypatch.setattr(type(web.services.admission), "run", busy)
    monkeypatch.setattr(type(web.services.db), "read", away)
    with monkeypatch.context() as patched:
        patched.setattr(type(web.services.credentials), "holder", _of_compute1)
        for _ in range(20):
            assert Raw(web)("GET", "/agent/v1/hosts/compute1/questions", token).status == 503
    for _ in range(20):
        assert Raw(web)("GET", "/v2.1/flavors", {}).status == 503
        assert Raw(web)("GET", "/v1/volumes", {}).status == 503
    lines = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert [line.partition(":")[0] for line in lines] == ["refused, server_busy", "refused, database_unavailable"]


async def _of_compute1(*_: Any) -> str:
    return "compute1"
