"""A Keystone of the tests' own, which answers over a socket what a test wants; ``tests/keystone`` asks a real one."""

import contextlib
import json
import socket
import threading
from collections.abc import Collection
from typing import Any

UNKNOWN = '{"error": {"code": 404, "title": "Not Found", "message": "Failed to validate token"}}'


def told(ends: str = "2999-01-01T00:00:00Z", project: str = "own") -> dict[str, Any]:
    roles = [{"name": name} for name in ("member", "reader")]
    return {"user": {"id": "u"}, "project": {"id": project}, "roles": roles, "expires_at": ends}


OWN = json.dumps({"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "methods": []}})


class Answering:
    """``own`` and ``other``: status and body, where the server asks for its own token, and about another's; ``breaks``:
    tokens with which it breaks the connection off."""

    def __init__(self, own: tuple[int, str], other: tuple[int, str], breaks: Collection[bytes] = ()) -> None:
        self.breaks = breaks
        self.expired: tuple[int, str] | None = None  # where it is asked whether the token has ended
        self._answers = {"POST": own, "GET": other}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/wrong"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, connection.makefile("rb") as received:
                    method, path = received.readline().split()[:2]
                    lines = iter(lambda: received.readline().strip().lower(), b"")
                    headers = dict(line.split(b": ", 1) for line in lines)
                    received.read(int(headers.get(b"content-length", b"0")))
                    if headers.get(b"x-subject-token") in self.breaks:
                        continue
                    answer = self.expired if self.expired and b"allow_expired" in path else None
                    connection.sendall(_http(*(answer or self._answers[method.decode()])))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def _http(status: int, body: str) -> bytes:
    kind = "application/json" if body.startswith("{") else "text/html"
    head = f"HTTP/1.1 {status} X\r\nX-Subject-Token: own\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
