"""An administrator's password on its way through the database, which never holds it as it was typed.

Owns its form there: a Fernet token under a key that servers share and agents do not have. It keeps the password out of
the database's files, logs and dumps of the operations; who has the whole database has the key, too. Pure but for the
token's nonce and time.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from migrator.scheduler.decision.snapshot import Snapshot
from migrator.scheduler.decision.transition import PASSWORD

PARAM = PASSWORD  # of an operation; as it was typed where an earlier release began it
_ENCRYPTED = "encrypted"


def encrypted(key: bytes, password: str | None) -> Mapping[str, str] | None:
    return None if password is None else {_ENCRYPTED: _fernet(key).encrypt(password.encode()).decode()}


def decrypted(key: bytes, kept: Any) -> str | None:
    """None: there is none, or it cannot be read with this key."""
    if kept is None or isinstance(kept, str):
        return kept
    try:
        return _fernet(key).decrypt(kept[_ENCRYPTED]).decode()
    except InvalidToken:
        return None


def readable(key: bytes, snapshot: Snapshot) -> Snapshot:
    """The snapshot with the password as the instance is to have it."""
    params = snapshot.operation.params
    if params.admin_pass is None:
        return snapshot
    plain = params.updated({PARAM: decrypted(key, params.admin_pass)})
    return replace(snapshot, operation=replace(snapshot.operation, params=plain))


def _fernet(key: bytes) -> Fernet:
    """Under a key of its own, which tells nothing of the one that it is made from."""
    own = hmac.new(key, b"migrator admin_pass", hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(own))
