"""An administrator's password on its way through the database, which never holds it as it was typed.

Owns its form there: encrypted under a key that servers share and agents do not have, each time under a nonce of its own
(HMAC-SHA256 as a stream, and over that as a tag). It keeps the password out of the database's files, logs and dumps of
the operations; who has the whole database has the key, too. Pure but for the nonce.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from migrator.scheduler.snapshot import Snapshot

PARAM = "admin_pass"  # of an operation; as it was typed where an earlier release began it
_NONCE, _TAG = 16, 32
_ENCRYPTED = "encrypted"


def encrypted(key: bytes, password: str | None) -> Mapping[str, str] | None:
    if password is None:
        return None
    nonce, plain = secrets.token_bytes(_NONCE), password.encode()
    body = nonce + _mixed(key, nonce, plain)
    return {_ENCRYPTED: (body + _tag(key, body)).hex()}


def decrypted(key: bytes, kept: Any) -> str | None:
    """None: there is none, or it cannot be read with this key."""
    if kept is None or isinstance(kept, str):
        return kept
    whole = bytes.fromhex(kept[_ENCRYPTED])
    body, tag = whole[:-_TAG], whole[-_TAG:]
    if not hmac.compare_digest(tag, _tag(key, body)):
        return None
    return _mixed(key, body[:_NONCE], body[_NONCE:]).decode()


def readable(key: bytes, snapshot: Snapshot) -> Snapshot:
    """The snapshot with the password as the instance is to have it."""
    params = snapshot.operation.params
    if params.get(PARAM) is None:
        return snapshot
    plain = {**params, PARAM: decrypted(key, params[PARAM])}
    return replace(snapshot, operation=replace(snapshot.operation, params=plain))


def _mixed(key: bytes, nonce: bytes, text: bytes) -> bytes:
    blocks = range(len(text) // hashlib.sha256().digest_size + 1)
    stream = b"".join(_keyed(key, b"stream", nonce + number.to_bytes(8)) for number in blocks)
    return bytes(left ^ right for left, right in zip(text, stream, strict=False))


def _tag(key: bytes, body: bytes) -> bytes:
    return _keyed(key, b"tag", body)


def _keyed(key: bytes, purpose: bytes, what: bytes) -> bytes:
    own = hmac.new(key, b"migrator admin_pass " + purpose, hashlib.sha256).digest()
    return hmac.new(own, what, hashlib.sha256).digest()
