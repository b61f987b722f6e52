"""What single settings may say: addresses, commands, names. Pure; each raises ValueError with what is expected."""

import ipaddress
import re
import shlex
from typing import Annotated

from pydantic import AfterValidator

from migrator.errors import BadRequest
from migrator.untrusted import host_name

_LEASE_MIN_S = 30.0


def endpoint(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9.:_%\[\]-]+", host) or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("expected HOST:PORT, such as 127.0.0.1:8774")
    return value


def command(value: str) -> str:
    """Words as a shell would split them, though no shell ever runs them."""
    if value and not shlex.split(value):  # raises ValueError for a quotation without an end
        raise ValueError("expected a command, or nothing")
    return value


def lease(value: float) -> float:
    """A poll takes up to 10 s, and one that is lost up to 25 s: a shorter lease would lapse while all is well."""
    if value != 0 and not _LEASE_MIN_S <= value < float("inf"):
        raise ValueError(f"expected 0 (never), or at least {_LEASE_MIN_S:g} (s)")
    return value


def address(value: str) -> str:
    """One word of a command, which must not pass for an option."""
    if not re.fullmatch(r"[A-Za-z0-9\[][A-Za-z0-9.:_%\]-]{0,254}", value):
        raise ValueError("expected an IP address or a host's name, such as 10.0.0.21 or n1-ipmi.example")
    return value


def host(value: str) -> str:
    try:
        host_name.check(value)
    except BadRequest as error:
        raise ValueError(error.advice) from error
    return value


def web_address(value: str) -> str:
    if value and not re.fullmatch(r"https?://[A-Za-z0-9.:_%\[\]-]+(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("expected http://HOST:PORT or https://HOST:PORT, perhaps with a path")
    return value


def network(value: str) -> str:
    """An address is the network of itself."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError("expected addresses or networks, such as 127.0.0.1 or 10.0.0.0/24") from error


def allowed_host(value: str) -> str:
    """As a ``Host`` header has it, without the port."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", value):
        raise ValueError("expected names and addresses without ports, such as controller.example or 10.0.0.1")
    return value.lower()


HostAddress = Annotated[str, AfterValidator(address)]
Endpoint = Annotated[str, AfterValidator(endpoint)]


def is_wildcard(endpoint: str) -> bool:
    """Every address of the machine."""
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
