"""A server process, and connections that send their requests slowly, by halves, or in great number."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.db.upgrade import upgrade
from tests.api.test_lease_process import Site
from tests.waiting import wait_for

HALF_A_HEAD = b"GET /v2.1/flavors HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /v2.1/flavors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
)
HEAD_S, BODY_S = 3.0, 2.0


class Crowd:
    """Connections to one server, closed at the end."""

    def __init__(self, url: str) -> None:
        host, _, port = url.partition("://")[2].rpartition(":")
        self._at = (host, int(port))
        self.sockets: list[socket.socket] = []

    def send(self, content: bytes, count: int = 1) -> None:
        for _ in range(count):
            opened = socket.create_connection(self._at, timeout=30)
            with suppress(OSError):  # refused already
                opened.sendall(content)
            self.sockets.append(opened)

    def open(self) -> int:
        """How many the server has not closed."""
        return sum(not _closed(each) for each in self.sockets)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


def _closed(of: socket.socket) -> bool:
    of.setblocking(False)
    try:
        return of.recv(65_536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def served(directory: Path, **settings: Any) -> Iterator[tuple[Crowd, Site]]:
    """A server that began with 1,024 files, as most do."""
    site = Site(directory)
    upgrade(site.db.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    own = {"database": site.db.url, "listen": site.url.removeprefix("http://"), "image_dir": directory / "images"}
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            stack.enter_context(site.process("server", **own, **settings))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        wait_for(site.listening, 20, "the server listens")
        crowd = Crowd(site.url)
        stack.callback(crowd.close)
        yield crowd, site
    site.db.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("server")
    with served(directory, request_head_timeout=HEAD_S, request_body_timeout=BODY_S) as (_, site):
        yield site


@pytest.fixture
def crowd(server: Site) -> Iterator[Crowd]:
    made = Crowd(server.url)
    yield made
    made.close()


def test_half_sent_heads_keep_nobody_waiting_and_are_closed_in_time(server: Site, crowd: Crowd) -> None:
    crowd.send(HALF_A_HEAD, 1200)
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as fresh:
        assert fresh.get("/v2.1/flavors").status_code == 200
    assert server.http.get("/v2.1/flavors").status_code == 200
    wait_for(lambda: crowd.open() == 0, 20, "all are closed")
    assert server.http.get("/v2.1/flavors").status_code == 200
    log = (server.directory / "server.log").read_text()
    assert log.count("head took too long") == 1


def test_a_head_that_trickles_or_never_begins_is_closed_in_time(crowd: Crowd) -> None:
    crowd.send(HALF_A_HEAD)
    crowd.send(b"")

    def over() -> bool:
        with suppress(OSError):
            crowd.sockets[0].send(b"x")
        return crowd.open() == 0

    wait_for(over, 20, "closed")


@pytest.mark.parametrize("more", [b"GET /v2.1/flavors HT", b"\r\n"])
def test_a_request_after_the_first_has_no_more_time(crowd: Crowd, more: bytes) -> None:
    crowd.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    (only,) = crowd.sockets
    answer = b""
    while not answer.endswith(b'"}'):
        answer += only.recv(4096)
    only.sendall(more)
    wait_for(lambda: crowd.open() == 0, 20, "closed")


def test_a_body_that_does_not_come_is_closed_in_time(server: Site, crowd: Crowd) -> None:
    crowd.send(HALF_A_BODY, 300)
    assert server.http.get("/v2.1/flavors").status_code == 200
    wait_for(lambda: crowd.open() == 0, 20, "all are closed")


def test_a_head_without_an_end_is_refused(server: Site, crowd: Crowd) -> None:
    crowd.send(HALF_A_HEAD + b"x" * 30_000)
    wait_for(lambda: crowd.open() == 0, 20, "closed")
    assert server.http.get("/healthz").status_code == 200


def test_an_answer_that_nobody_reads_ends_its_connection(server: Site) -> None:
    """Small ones too, of which each waits in the server's memory once the system's buffers are full."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(asked * 100)
        wait_for(lambda: "an answer was not read" in (server.directory / "server.log").read_text(), 30, "its end")
    assert server.http.get("/healthz").status_code == 200


def test_one_address_has_a_number_of_connections_and_gets_more_when_some_end(tmp_path: Path) -> None:
    with served(tmp_path, max_connections_per_address=20, request_head_timeout=60) as (crowd, site):
        crowd.send(HALF_A_HEAD, 100)
        wait_for(lambda: crowd.open() <= 20, 20, "the rest is closed")
        assert crowd.open() >= 18
        crowd.close()

        def answered() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(f"{site.url}/healthz", trust_env=False).status_code == 200
            return False

        wait_for(answered, 20, "a place is free")
        assert (tmp_path / "server.log").read_text().count("max_connections_per_address") == 1
