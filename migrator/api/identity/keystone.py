"""``auth_strategy = keystone``: tokens that an existing Keystone issued, which it is asked about.

Owns what this process remembers of tokens: a keyed hash, for ``keystone_token_cache_time`` at the longest and not past
the token's end, so that a token that was revoked is refused within that time. A Keystone that does not answer, or does
not take this server's own credential, is 503 and never 401: no client should throw a good token away for it. One that
is silent holds no request for longer than two answers may take, and the next ones not at all (``silence.py``); the
threads that still wait for it are bounded.
"""

import asyncio
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from anyio import CapacityLimiter, fail_after, to_thread

from migrator.api.identity.authenticator import (
    NEEDED,
    CredentialsRefused,
    CredentialsUnverified,
    Identity,
    TokenUnanswered,
)
from migrator.api.identity.silence import Silence
from migrator.errors import ServerBusy, Unauthorized

_REMEMBERED = 16_384  # tokens
EXPIRED = "expired token"
_AT_ONCE = 8  # questions to Keystone
_THREADS = 16  # that ask, with those whose answer is not waited for any more
_ANSWERS = 2  # that a question may wait for: this server's own token, and what is said of the other
_WAITING = 512  # more of them are refused
_LONGEST = 8192  # characters of a token
_REFUSED_S = 30.0  # that a token which Keystone does not know is refused without a question
_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token is not valid, and whose it is, "" where that is not known."""

    reason: str
    user_id: str = ""


_Known = tuple[Identity | Refusal | None, float]


class Validator(Protocol):
    def validated(self, token: str) -> Mapping[str, Any] | Refusal:
        """What Keystone says of the token. Blocks. Raises CredentialsUnverified, among them NoAnswer and
        TokenUnanswered."""
        ...

    def begin_anew(self) -> None:
        """Wait no more for what was asked before: the next question is asked over a connection of its own."""
        ...


class NoAnswer(CredentialsUnverified):
    """Keystone cannot be reached, or says nothing."""


class Keystone:
    def __init__(
        self,
        uri: str,
        validator: Validator,
        cache_s: float,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = 10.0,
    ) -> None:
        self.challenge = f'Keystone uri="{uri}"'
        self._validator, self._cache_s, self._clock = validator, cache_s, clock
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._timeout_s, self._silence = timeout_s, Silence(time.monotonic)
        self._turn, self._threads = CapacityLimiter(_AT_ONCE), CapacityLimiter(_THREADS)
        self._asking, self._counted = 0, threading.Lock()
        self._asked: dict[bytes, asyncio.Lock] = {}
        self._waiting = 0

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:
        token = headers.get("x-auth-token", "")
        known = self._look(self._digest(token))[0] if token else None
        return known if isinstance(known, Identity) else None

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        """Within the time of two answers. Raises Unauthorized, CredentialsRefused, CredentialsUnverified and
        ServerBusy."""
        token = headers.get("x-auth-token", "")
        if not token:
            raise Unauthorized(NEEDED)
        if len(token) > _LONGEST or not token.isascii() or not token.isprintable():
            raise CredentialsRefused("malformed token")
        if self._waiting >= _WAITING:
            raise ServerBusy("Very many tokens wait to be validated: ask again later.", retry_after_s=_AGAIN_S)
        asked_at = time.monotonic()
        self._waiting += 1
        try:
            with fail_after(_ANSWERS * self._timeout_s):
                return await self._one_at_a_time(self._digest(token), token)
        except TokenUnanswered:
            self._silence.answered()
            raise
        except (TimeoutError, NoAnswer) as error:
            self._silence.unanswered(asked_at)
            self._validator.begin_anew()
            raise CredentialsUnverified() from error
        finally:
            self._waiting -= 1

    async def _one_at_a_time(self, digest: bytes, token: str) -> Identity:
        """Of several requests with one token at once, the first asks for all."""
        lock = self._asked.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                known, _ = self._look(digest)
                if known is None:
                    known = await self._asked_of_keystone(digest, token)
        finally:
            if not lock.locked():
                self._asked.pop(digest, None)
        if isinstance(known, Refusal):
            raise CredentialsRefused(known.reason, known.user_id)
        return known

    async def _asked_of_keystone(self, digest: bytes, token: str) -> Identity | Refusal:
        finds_out = self._silence.silent
        if not self._silence.may_ask():
            raise CredentialsUnverified
        async with self._turn:
            if self._asking >= _THREADS or (self._silence.silent and not finds_out):
                raise CredentialsUnverified
            told = await self._in_a_thread(token)
        self._silence.answered()
        known, kept_s = (told, _REFUSED_S) if isinstance(told, Refusal) else _judged(told)
        self._known[digest] = (known, self._clock() + min(kept_s, self._cache_s))
        self._known.move_to_end(digest)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    async def _in_a_thread(self, token: str) -> Mapping[str, Any] | Refusal:
        """The thread counts until it ends, although its answer may not be waited for any more."""
        counted = threading.Lock()  # taken once: by the thread, or where it never began
        with self._counted:
            self._asking += 1

        def ask() -> Mapping[str, Any] | Refusal:
            if not counted.acquire(blocking=False):
                return Refusal("no caller waits for the answer any more")
            try:
                return self._validator.validated(token)
            finally:
                self._ended()

        try:
            return await to_thread.run_sync(ask, limiter=self._threads, abandon_on_cancel=True)
        finally:
            if counted.acquire(blocking=False):
                self._ended()

    def _ended(self) -> None:
        with self._counted:
            self._asking -= 1

    def _look(self, digest: bytes) -> _Known:
        """(None, 0): nothing is known of it any more."""
        known = self._known.get(digest)
        return known if known is not None and self._clock() < known[1] else (None, 0.0)

    def _digest(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()


def identity_of(token: Mapping[str, Any]) -> Identity:
    """Out of a token for a project, a domain or the whole system, or for nothing. Roles are those that Keystone says:
    it knows what a role contains."""
    project, domain, system = (token.get(scope) or {} for scope in ("project", "domain", "system"))
    roles = frozenset(str(role["name"]).lower() for role in token.get("roles", ()))
    scope = "all" if system.get("all") else None
    return Identity(str(token["user"]["id"]), str(project.get("id", "")), roles, domain.get("id"), scope)


def _judged(token: Mapping[str, Any]) -> tuple[Identity | Refusal, float]:
    """Whose the token is, and for how many seconds it is; one that has ended by this server's clock is refused."""
    identity, left_s = identity_of(token), _left_s(token)
    return (identity, left_s) if left_s > 0 else (Refusal(EXPIRED, identity.user_id), _REFUSED_S)


def _left_s(token: Mapping[str, Any]) -> float:
    ends = datetime.fromisoformat(str(token["expires_at"]).replace("Z", "+00:00"))
    return (ends - datetime.now(UTC)).total_seconds()
