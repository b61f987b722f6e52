"""Holds a request's body to its kind and size while it arrives. Owns no limit, and never looks at what it says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Send

from migrator.api import faults
from migrator.api.process.body_budget import SMALL_BYTES
from migrator.errors import MigratorError


@dataclass(frozen=True, slots=True)
class Expected:
    """``setting``: where the limit comes from."""

    kinds: tuple[str, ...]
    limit: int
    setting: str = ""


class Body:
    """Hands on the parts of a request's body while they are of a kind and size that is expected. ``take``: finds room
    for so many bytes, or raises; asked once, before more than a small message has arrived."""

    def __init__(
        self, receive: Receive, kind: str, expected: Expected, take: Callable[[int], None], announced: int = 0
    ) -> None:
        """Raises UnsupportedMediaType, TooLarge and what ``take`` raises. ``announced``: its size, or 0: unknown."""
        self._receive, self._given, self._expected = receive, kind, expected
        self._take, self._announced, self._taken = take, announced, False
        self._size = 0
        self.refusal: MigratorError | None = None
        if announced:
            self._check(announced)

    def _check(self, size: int) -> None:
        limit = self._expected.limit
        if self._given.split(";")[0].strip().lower() not in self._expected.kinds:
            given = f"is {self._given[:100]!r}" if self._given else "is missing"
            raise faults.UnsupportedMediaType(
                f"Unsupported Content-Type: it {given}; a request with a body here says {self._expected.kinds[0]}."
            )
        if size > limit:
            raise faults.TooLarge(f"The request's body is larger than {limit} bytes{self._expected.setting}.")
        if size > SMALL_BYTES and not self._taken:
            self._take(self._announced or limit)
            self._taken = True

    async def receive(self) -> Message:
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._size += len(message.get("body", b""))
        try:
            if self._size:
                self._check(self._size)
        except MigratorError as error:
            self.refusal = error
            raise
        return message


class Answer:
    """The application's, unless its body was refused before it answered: it may take that for a fault of its own."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    def unless(self, body: Body) -> Callable[[Message], Awaitable[None]]:
        async def send(message: Message) -> None:
            if self.started or body.refusal is None:
                self.started = True
                await self._send(message)

        return send
