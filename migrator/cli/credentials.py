"""Who the command line says it is: the variables by which OpenStack's clients know it.

``OS_AUTH_TYPE=http_basic`` with ``OS_USERNAME`` and ``OS_PASSWORD``; ``OS_CACERT`` names the only authority whose
certificate of an https:// server is accepted. Without ``OS_AUTH_TYPE`` nothing is sent.
"""

import os
import ssl

import httpx

from migrator.errors import BadRequest

STRATEGIES = ("none", "http_basic")


def basic() -> httpx.BasicAuth | None:
    """Raises BadRequest for what is missing."""
    asked = os.environ.get("OS_AUTH_TYPE", "none")
    if asked not in STRATEGIES:
        raise BadRequest(f"OS_AUTH_TYPE is {asked!r}; one of {', '.join(STRATEGIES)}")
    if asked == "none":
        return None
    missing = [name for name in ("OS_USERNAME", "OS_PASSWORD") if not os.environ.get(name)]
    if missing:
        raise BadRequest(f"{missing[0]} is missing, which OS_AUTH_TYPE=http_basic needs")
    return httpx.BasicAuth(os.environ["OS_USERNAME"], os.environ["OS_PASSWORD"])


def trusted() -> ssl.SSLContext | bool:
    """Raises BadRequest."""
    path = os.environ.get("OS_CACERT")
    if not path:
        return True
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise BadRequest(f"OS_CACERT = {path} cannot be used: {error.strerror or error}") from error
