"""``auth_strategy = http_basic``: a name and a password with each request, as keystoneauth's ``http_basic`` sends them.

Owns what this process remembers of passwords that were right: a keyed hash of the header, for a short time after it
was last used, and only while the files are as they were: such a request waits for nothing. Passwords are compared in
threads, a few at a time, by turns of the addresses that send them; a user that is not there takes as long as a password
that is wrong.
"""

import base64
import binascii
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

import bcrypt
from anyio import CapacityLimiter, to_thread

from migrator.api.identity.authenticator import NEEDED, CredentialsRefused, Identity
from migrator.api.identity.fair_turns import FairTurns
from migrator.api.identity.users import Users
from migrator.errors import Unauthorized
from migrator.reloaded import Reloaded

REMEMBERED_S = 600.0  # since it was used
_REMEMBERED = 4096  # headers
_AT_ONCE = 2  # passwords that are compared
_WAITING_EACH, _WAITING = 64, 512  # of one address, and of all: more are refused
_LONGEST = 72  # bytes of a password that bcrypt looks at
_AGAIN_S = 2.0
_MALFORMED = "no name and password in the header"


class HttpBasic:
    challenge = 'Basic realm="migrator"'

    def __init__(self, users: Reloaded[Users], clock: Callable[[], float] = time.monotonic) -> None:
        self._users, self._clock = users, clock
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()
        self._of = users.value  # what they were compared with
        self._turns = FairTurns(_AT_ONCE, _WAITING_EACH, _WAITING, _AGAIN_S)
        self._threads = CapacityLimiter(_AT_ONCE)

    async def refresh(self) -> None:
        users = await self._users.latest()
        if users is not self._of:
            self._known.clear()
            self._of = users

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:
        digest, now = self._digest(headers.get("authorization", "")), self._clock()
        identity, until = self._known.get(digest, (None, 0.0))
        if identity is None or now >= until:
            return None
        self._known[digest] = (identity, now + REMEMBERED_S)
        self._known.move_to_end(digest)
        return identity

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:
        """Raises Unauthorized, CredentialsRefused and ServerBusy."""
        given = headers.get("authorization", "")
        name, password = _read(given)
        async with self._turns.turn(address):
            # of several requests of one user at once, the first compares for all
            return self.remembered(headers) or await self._compared(given, name, password)

    async def _compared(self, given: str, name: str, password: bytes) -> Identity:
        users = self._of
        hashed = users.hashes.get(name, users.decoy)
        right = await to_thread.run_sync(bcrypt.checkpw, password, hashed, limiter=self._threads)
        if not right or name not in users.hashes:
            raise CredentialsRefused(users.refusal(name), name)
        if users is self._of:
            self._known[self._digest(given)] = (users.identities[name], self._clock() + REMEMBERED_S)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return users.identities[name]

    def _digest(self, given: str) -> bytes:
        return hashlib.blake2b(given.encode("utf-8", "surrogatepass"), key=self._key, digest_size=32).digest()


def _read(given: str) -> tuple[str, bytes]:
    """Raises Unauthorized where no credential is given, and CredentialsRefused for what is none."""
    scheme, _, encoded = given.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized(NEEDED)
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        if not colon or b"\0" in password:
            raise CredentialsRefused(_MALFORMED)
        return name.decode(), password[:_LONGEST]
    except (binascii.Error, ValueError) as error:
        raise CredentialsRefused(_MALFORMED) from error
