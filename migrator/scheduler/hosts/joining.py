"""How a host's agent comes by its first credential: an operator invites the host, and its agent takes the invitation.

Owns who may be invited. An invitation alone changes nothing for a host that there is: its agent is refused from the
moment in which another one takes the invitation, and no sooner.
"""

from typing import NamedTuple

from migrator.db import credentials, host_removal, invitations
from migrator.db.engine import Database
from migrator.errors import Conflict, Unauthorized
from migrator.untrusted import host_name

UNKNOWN = "This invitation is not known: it was used, has ended, or was replaced by a newer one."
UNKNOWN_ADVICE = "invite the host again with `migrator host-join HOST`"


class Invitation(NamedTuple):
    token: str
    expires_at: float


def invite(db: Database, host: str, valid_s: float, *, replace: bool) -> Invitation:
    """``replace``: also a host whose agent has a credential, which ends when the invitation is taken. Raises BadRequest
    for what is no host's name, Conflict."""
    host_name.check(host)
    with db.write() as connection:
        made = Invitation(*invitations.issue(connection, host, valid_s))
        # Asked after that, which waits for an agent that takes the earlier invitation at this moment.
        if not replace and credentials.has_one(connection, host):
            raise Conflict(
                f"The agent of host {host} has a credential, which would end",
                advice="choose another name; or say --replace, if that agent is to be heard no more",
            )
        return made


def join(db: Database, token: str) -> tuple[str, str]:
    """(host, its agent's new credential). Raises Unauthorized for an invitation that was taken already."""
    with db.write() as connection:
        if (known := invitations.host_of(connection, token)) is not None:
            host_removal.lock_credential(connection, known)  # first, as where the host is removed
        host = invitations.take(connection, token)
        if host is None:
            raise Unauthorized(UNKNOWN, advice=UNKNOWN_ADVICE)
        return host, credentials.issue_in(connection, host)
