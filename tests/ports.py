"""TCP ports for servers that the tests start."""

import socket


def free_port() -> int:
    """One of loopback's that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
