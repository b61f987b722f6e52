"""How a host's agent comes by its first credential: an operator invites the host, and its agent takes the join token.

Owns who may be invited. A join token alone changes nothing for a host that there is: its agent is refused from the
moment in which another one takes the join token, and no sooner.
"""

from typing import NamedTuple

from migrator.db import credentials, host_removal, join_tokens
from migrator.db.engine import Database
from migrator.errors import Conflict, Unauthorized
from migrator.untrusted import host_name

UNKNOWN = "This join token is not known: it was used, has ended, or was replaced by a newer one."
UNKNOWN_ADVICE = "invite the host again with `migrator host-join HOST`"


class JoinToken(NamedTuple):
    token: str
    expires_at: float


def invite(db: Database, host: str, valid_s: float, *, replace: bool) -> JoinToken:
    """``replace``: also a host whose agent has a credential, which ends when the join token is taken. Raises BadRequest
    for what is no host's name, Conflict."""
    host_name.check(host)
    with db.write() as connection:
        made = JoinToken(*join_tokens.issue(connection, host, valid_s))
        # Asked after that, which waits for an agent that takes the earlier join token at this moment.
        if not replace and credentials.has_one(connection, host):
            raise Conflict(
                f"The agent of host {host} has a credential, which would end",
                advice="choose another name; or say --replace, if that agent is to be heard no more",
            )
        return made


def join(db: Database, token: str) -> tuple[str, str]:
    """(host, its agent's new credential). Raises Unauthorized for a join token that was taken already."""
    with db.write() as connection:
        if (known := join_tokens.host_of(connection, token)) is not None:
            host_removal.lock_credential(connection, known)  # first, as where the host is removed
        host = join_tokens.take(connection, token)
        if host is None:
            raise Unauthorized(UNKNOWN, advice=UNKNOWN_ADVICE)
        return host, credentials.issue_in(connection, host)
