"""Sends events to webhooks: in order for each receiver, again with growing pauses until it takes them.

Owns when and how often, and the connection. An event counts as told once its receiver answered 2xx and the cursor was
written: a server that dies between the two sends it again, so a receiver hears of each at least once. A server that is
killed, or another server, goes on at the cursor. Runs in a thread with an event loop of its own, so that no receiver
keeps a request, an operation or another receiver waiting.
"""

import asyncio
import logging
import ssl
import threading
import time
import uuid
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import httpx

from migrator.api.process.services import Services
from migrator.api.v1 import webhook_message
from migrator.db import event_stream, webhooks
from migrator.db.clock import now
from migrator.db.rows import WebhookRow
from migrator.db.webhooks import Attempt, Delivery
from migrator.errors import MigratorError
from migrator.log_limits import log_failure
from migrator.untrusted import printable, receiver

log = logging.getLogger(__name__)
_LOOK_S = 1.0  # between two looks at what is to be sent
_TICK_S = 0.1  # how late the end of the process is noticed
_LEASE_S = 60.0  # beyond the time of a request; longer than any write to the database takes
_GRACE_S = 2.0  # for requests under way at the process's end
_PAGE = 100  # events in a turn; then other webhooks, and other servers, have theirs
_FIRST_S, _LONGEST_S = 5.0, 300.0  # the pauses between attempts: doubled from the first to the longest
_MESSAGE_LENGTH = 300


def pause_s(attempts: int) -> float:
    """Before the next attempt, after so many in vain."""
    return float(min(_LONGEST_S, _FIRST_S * 2 ** min(attempts - 1, 10)))


class WebhookSender:
    """``run`` until ``stop`` is set, in a thread; ``send_due`` once, for a caller that waits for it."""

    def __init__(self, services: Services, stop: threading.Event) -> None:
        self._db, self._settings, self._stop = services.db, services.settings, stop
        self._by = str(uuid.uuid4())
        self._settled: int | None = None
        self._lease_s = _LEASE_S + self._settings.webhook_timeout

    def run(self) -> None:
        asyncio.run(self._run())

    def send_due(self) -> None:
        """Every webhook that is due has its turn, and all turns are over."""
        asyncio.run(self._send_due())

    async def _run(self) -> None:
        turns: dict[int, asyncio.Task[None]] = {}
        async with self._client() as client:
            while not self._stop.is_set():
                try:
                    turns = {ident: turn for ident, turn in turns.items() if not turn.done()}
                    for ident in await asyncio.to_thread(self._due):
                        if ident not in turns:
                            turns[ident] = asyncio.create_task(self._turn(client, ident))
                except Exception as error:
                    log_failure(log, error, "webhooks could not be looked at; it is tried again")
                ends = time.monotonic() + _LOOK_S
                while time.monotonic() < ends and not self._stop.is_set():
                    await asyncio.sleep(_TICK_S)
            await self._end(turns.values())

    async def _end(self, turns: Collection[asyncio.Task[None]]) -> None:
        """What is on its way gets a moment; then the next server need not wait until our turns end by time."""
        if turns:
            await asyncio.wait(turns, timeout=_GRACE_S)
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        try:
            await asyncio.to_thread(self._release)
        except MigratorError as error:
            log_failure(log, error, "turns of webhooks could not be given back; they end by time")

    def _release(self) -> None:
        with self._db.write() as connection:
            webhooks.release(connection, self._by)

    async def _send_due(self) -> None:
        async with self._client() as client:
            due = await asyncio.to_thread(self._due)
            await asyncio.gather(*(self._turn(client, ident) for ident in due))

    def _client(self) -> httpx.AsyncClient:
        """No proxy, no redirect: it connects to the address that was judged, and to no other."""
        ca = self._settings.webhook_cafile
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
        return httpx.AsyncClient(trust_env=False, follow_redirects=False, verify=verify, timeout=None)

    def _due(self) -> Sequence[int]:
        with self._db.read() as connection:
            if not webhooks.every(connection):
                return ()
            self._settled = event_stream.settled(connection, self._settled)
            return webhooks.due(connection, self._settled)

    async def _turn(self, client: httpx.AsyncClient, ident: int) -> None:
        try:
            row, found, until = await asyncio.to_thread(self._claim, ident)
            if row is not None and await self._send_all(client, row, found):
                await asyncio.to_thread(self._finish, ident, until)
        except Exception as error:  # the claim ends by time
            log_failure(log, error, "webhook %s could not be sent to; it is tried again", ident)

    def _claim(self, ident: int) -> tuple[WebhookRow | None, Sequence[Any], int]:
        with self._db.write() as connection:
            row = webhooks.claim(connection, ident, self._by, self._lease_s)
        if row is None or self._settled is None:
            return None, (), 0
        until = min(self._settled, row.cursor + _PAGE)
        with self._db.read() as connection:
            return row, event_stream.between(connection, row.cursor, until), until

    async def _send_all(self, client: httpx.AsyncClient, row: WebhookRow, found: Sequence[Any]) -> bool:
        """Whether the turn went through, and the claim is still ours."""
        for event in found:
            if row.events and event.name not in row.events:
                continue
            if self._stop.is_set():
                return False
            attempt = await self._send(client, row, event)
            if not await asyncio.to_thread(self._record, row, attempt, event.at):
                return False
            row = row._replace(attempts=0, failing_since=None)
        return True

    def _record(self, row: WebhookRow, attempt: Attempt, at: float) -> bool:
        """Whether the next event may follow. ``at``: when this one happened."""
        with self._db.write() as connection:
            given_up = bool(attempt.error) and now(connection) - at >= self._settings.webhook_retry_for
            if not attempt.error or given_up:
                ours = webhooks.advance(connection, row.id, self._by, attempt.event_id, self._lease_s)
                state = Delivery.GIVEN_UP if given_up else Delivery.DELIVERED
            else:
                webhooks.postpone(connection, row, self._by, pause_s(row.attempts + 1))
                ours, state = False, Delivery.FAILING
            webhooks.note(connection, row.id, attempt, state)
        if attempt.error:
            log.warning("webhook %s, event %s, %s: %s", row.name, attempt.event_id, state, attempt.error)
        return ours

    def _finish(self, ident: int, until: int) -> None:
        with self._db.write() as connection:
            webhooks.advance(connection, ident, self._by, until, 0.0)

    async def _send(self, client: httpx.AsyncClient, row: WebhookRow, event: Any) -> Attempt:
        made = partial(Attempt, event.id, event.name)
        payload = webhook_message.body(row, event)
        headers = webhook_message.headers(row, event, payload, int(time.time()))
        try:
            async with asyncio.timeout(self._settings.webhook_timeout):
                status = await self._post(client, receiver.parse(row.url), headers, payload)
        except TimeoutError:
            return made(None, f"no answer within {self._settings.webhook_timeout:g} s")
        except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
            return made(None, printable.escaped(f"{error or type(error).__name__}")[:_MESSAGE_LENGTH])
        return made(status, "" if 200 <= status < 300 else f"the receiver answered {status}")

    async def _post(
        self, client: httpx.AsyncClient, to: receiver.Receiver, headers: dict[str, str], payload: bytes
    ) -> int:
        """The answer's status; its body is not read. Raises OSError, and ValueError for an address that is refused."""
        loop = asyncio.get_running_loop()
        known = await loop.getaddrinfo(to.host, to.port, type=1)  # SOCK_STREAM
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in known))
        refusals = [receiver.refusal(to, address, self._settings.webhook_networks) for address in addresses]
        allowed = [address for address, message in zip(addresses, refusals, strict=True) if not message]
        if not allowed:
            raise ValueError(refusals[0])
        host = f"[{allowed[0]}]" if ":" in allowed[0] else allowed[0]
        url, named = f"{to.scheme}://{host}:{to.port}{to.target}", {"Host": to.authority}
        about = {"sni_hostname": to.host}
        async with client.stream("POST", url, headers=named | headers, content=payload, extensions=about) as answer:
            return answer.status_code
