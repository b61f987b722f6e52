"""Signs the stamps that agents write into domains, and checks those that they report.

A stamp says which operation, at which epoch, last defined, started or moved an instance's domain, and for which host.
Its seal is an HMAC of that with a key that agents do not have: who shows one has it from a server. Pure.

A seal is copied with its domain, so it proves that the domain was ours, and not that the host which reports it is the
one it was issued for: a host that was renamed shows the seals of its old name.
"""

import hashlib
import hmac

import orjson

_VERSION = "1"


def sign(key: bytes, instance_uuid: str, operation_uuid: str, epoch: int, host: str) -> str:
    """The seal of this stamp."""
    return f"{_VERSION}.{_digest(key, instance_uuid, operation_uuid, epoch, host)}.{host}"


def issued_for(key: bytes, instance_uuid: str, operation_uuid: str | None, epoch: int | None, seal: str) -> str | None:
    """The host for which a server issued this stamp of the instance's domain; None: no server did."""
    version, _, rest = seal.partition(".")
    digest, _, host = rest.partition(".")
    if version != _VERSION or not host or operation_uuid is None or epoch is None or not digest.isascii():
        return None
    right = _digest(key, instance_uuid, operation_uuid, epoch, host)
    return host if hmac.compare_digest(digest, right) else None


def _digest(key: bytes, instance_uuid: str, operation_uuid: str, epoch: int, host: str) -> str:
    signed = orjson.dumps(["migrator stamp", _VERSION, instance_uuid, operation_uuid, epoch, host])
    return hmac.new(key, signed, hashlib.sha256).hexdigest()
