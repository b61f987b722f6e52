"""Who is calling. ``Authenticator`` is the interface; ``none`` is the only strategy yet, and loopback's alone.

``settings.py`` refuses to start with ``auth_strategy = none`` on any other address.
"""

from collections.abc import Mapping
from typing import Protocol

from migrator.scheduler.requests.requests import Caller


class Authenticator(Protocol):
    def caller(self, headers: Mapping[str, str], request_id: str) -> Caller:
        """The caller, or Unauthorized."""
        ...


class NoAuthentication:
    """Every caller on loopback is the administrator of the project "admin"."""

    def caller(self, headers: Mapping[str, str], request_id: str) -> Caller:  # noqa: ARG002 - the interface
        return Caller(user_id="admin", project_id="admin", request_id=request_id, is_admin=True)


STRATEGIES: Mapping[str, type[NoAuthentication]] = {"none": NoAuthentication}
