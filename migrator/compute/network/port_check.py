"""Whether a host's libvirtd answers at all: a probe of its port, before a connection is opened.

libvirt itself waits for minutes on a host that swallows what is sent to it. Changes nothing.
"""

import socket
from urllib.parse import urlsplit

KNOCK_S = 2.0
_PORTS = {"tcp": 16509, "tls": 16514, "ssh": 22, "libssh": 22, "libssh2": 22}


def probe_port(uri: str, timeout_s: float = KNOCK_S) -> str | None:
    """Why nothing listens where ``uri`` leads; None: something does, or that cannot be told from the URI."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    transport = parts.scheme.partition("+")[2] or "tls"  # libvirt's own default for a URI with a host
    port = port or _PORTS.get(transport)
    if not host or not port:
        return None
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        return f"{host} port {port}: {error.strerror or error}"
    return None
