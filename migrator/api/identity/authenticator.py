"""What a strategy of authentication is, and the simplest one: ``none``, which is loopback's alone.

Owns what is known of a caller before any policy. ``settings.py`` refuses to start with ``auth_strategy = none`` on any
other address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from migrator.api.identity.policy_rules import ROLES
from migrator.errors import Unauthorized, Unavailable

NEEDED = "The request you have made requires authentication."
_AGAIN_S = 2.0


class CredentialsRefused(Unauthorized):
    """A credential was given, and it is not right. ``reason``, for the audit alone: the client is told the same of all,
    for it would help one who guesses. ``claimed``: the user that it names, "" where it names none."""

    def __init__(self, reason: str, claimed: str = "") -> None:
        super().__init__(NEEDED)
        self.reason, self.claimed = reason, claimed


class CredentialsUnverified(Unavailable):
    """Whether the credential is right cannot be found out now. ``reason``, for the audit alone: what the identity
    service did."""

    def __init__(self, reason: str = "Keystone does not answer") -> None:
        super().__init__("The identity service does not answer: ask again later.", retry_after_s=_AGAIN_S)
        self.reason = reason


class TokenUnanswered(CredentialsUnverified):
    """The identity service answers, and gives none where it is asked about this token."""


@dataclass(frozen=True, slots=True)
class Identity:
    """``project_id`` "": a token for no project; ``system_scope`` "all": for the whole system."""

    user_id: str
    project_id: str
    roles: frozenset[str]
    domain_id: str | None = None
    system_scope: str | None = None


class Authenticator(Protocol):
    @property
    def challenge(self) -> str | None:
        """How a caller that is not known is told to say who it is (``WWW-Authenticate``)."""
        ...

    async def refresh(self) -> None:
        """Learns what changed in the files that it reads, if it reads any. Before each request."""
        ...

    def remembered(self, headers: Mapping[str, str]) -> Identity | None:
        """Who it is, if that is known without any work. On the event loop."""
        ...

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:
        """Who it is; ``address``: from where. Raises Unauthorized, and Unavailable if that cannot be found out now."""
        ...


class NoAuthentication:
    """Every caller on loopback is the administrator of the project "admin"."""

    challenge = None
    _ADMIN = Identity("admin", "admin", frozenset(ROLES))

    async def refresh(self) -> None:
        """It reads no file."""

    def remembered(self, headers: Mapping[str, str]) -> Identity:  # noqa: ARG002 - the interface
        return self._ADMIN

    async def verified(self, headers: Mapping[str, str], address: str = "") -> Identity:  # noqa: ARG002 - the interface
        return self.remembered(headers)


def implied(roles: frozenset[str]) -> frozenset[str]:
    """With what each role contains: a member is a reader, too."""
    highest = next((position for position, role in enumerate(ROLES) if role in roles), len(ROLES))
    return roles | frozenset(ROLES[highest:])
