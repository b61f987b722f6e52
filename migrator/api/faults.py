"""Errors to HTTP, once, for every surface: which status a code of the tree has, and the shape of the body.

The Compute API's faults are ``{"itemNotFound": {"code": 404, "message": "..."}}``. A path that no route serves is
answered as a real server's router does. An unexpected exception is logged and told as a 500 without its internals.
Callers of Nova's and Glance's APIs read an error's ``message`` where the policy shows them hosts (``SEES_HOSTS``), and
its ``without_hosts`` otherwise.
"""

import math
from collections.abc import Mapping
from typing import Any

from migrator.api.microversions import VersionNotAcceptable
from migrator.api.public_messages import public
from migrator.api.surface import Surface
from migrator.errors import (
    ActionNotImplemented,
    BadRequest,
    ConcurrentUpdate,
    Conflict,
    Forbidden,
    Gone,
    IncarnationSuperseded,
    MigratorError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)


class UnsupportedMediaType(MigratorError):
    code = "unsupported_media_type"


class TooLarge(MigratorError):
    code = "request_too_large"


# first match wins, so children stand before parents
_STATUS: tuple[tuple[type[MigratorError], int], ...] = (
    (VersionNotAcceptable, 406),
    (UnsupportedMediaType, 415),
    (TooLarge, 413),
    (ActionNotImplemented, 501),
    (BadRequest, 400),
    (Gone, 410),
    (NotFound, 404),
    (ConcurrentUpdate, 409),
    (Conflict, 409),
    (Forbidden, 403),
    (Unauthorized, 401),
    (TooManyRequests, 429),
    (Unavailable, 503),
)
NAMES: Mapping[int, str] = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
}
_NATIVE = (Surface.NATIVE, Surface.AGENT)
SEES_HOSTS = "os_compute_api:os-extended-server-attributes"  # the rule of what names a server's host
UNEXPECTED = "Unexpected API Error. It was logged with the request's id; ask the operator to look there."


def status_of(error: MigratorError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def fault(status: int, message: str) -> dict[str, Any]:
    """``message`` may repeat a hypervisor's or a program's words, whatever the status: users read what is public."""
    return {NAMES.get(status, "computeFault"): {"code": status, "message": public(message)}}


def body_of(error: MigratorError, *, hosts: bool) -> tuple[int, dict[str, Any]]:
    """Status and Compute API body; an error that is not the client's says no more than that it was logged."""
    status, message = status_of(error), error.message if hosts else error.without_hosts
    if status == 401:  # as the part before Nova that authenticates words it
        return status, {"error": {"code": status, "title": "Unauthorized", "message": public(message)}}
    return status, fault(status, message if status != 500 else UNEXPECTED)


def body_for(surface: Surface, error: MigratorError, *, hosts: bool = False) -> tuple[int, dict[str, Any]]:
    """Status and body, as clients of that surface read them. ``hosts``: whether this caller may know of hosts; of
    ``/v1`` and ``/agent/v1`` each does, for the rules of their rows are about hosts."""
    return native_body(error) if surface in _NATIVE else body_of(error, hosts=hosts)


def unexpected(surface: Surface) -> dict[str, Any]:
    """Of a 500 that is a defect."""
    if surface in _NATIVE:
        return {"error": {"code": MigratorError.code, "message": UNEXPECTED, "advice": None}}
    return fault(500, UNEXPECTED)


def headers_of(error: MigratorError) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, Unavailable) else {}


def native_body(error: MigratorError) -> tuple[int, dict[str, Any]]:
    """Status and body for ``/v1`` and ``/agent/v1``: the stable code, the message, what to do, and what a program
    needs of it."""
    status = status_of(error)
    message = error.message if status != 500 else UNEXPECTED
    more = {"details": error.details} if isinstance(error, IncarnationSuperseded) else {}
    return status, {"error": {"code": error.code, "message": message, "advice": error.advice, **more}}


def not_routed(status: str = "404 Not Found") -> dict[str, Any]:
    title = status.split(" ", 1)[1]
    message = "The resource could not be found.<br /><br />\n\n\n"
    return {"message": message, "code": status, "title": title}
