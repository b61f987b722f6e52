"""The command line meets the same running server and simulated hosts as the OpenStack clients."""

from tests.clients.conftest import cloud

__all__ = ["cloud"]
