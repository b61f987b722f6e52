"""The agents' credentials: one secret a host, kept only as its SHA-256."""

import hashlib
import secrets
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, delete, select

from migrator.db.clock import now
from migrator.db.engine import Database
from migrator.db.tables import agent_credentials
from migrator.untrusted import host_name

_HELD = (  # built once, for every registration
    select(agent_credentials.c.host, agent_credentials.c.token_sha256)
    .where(agent_credentials.c.host.in_(bindparam("names", expanding=True)))
    .order_by(agent_credentials.c.host)
    .with_for_update()
)
UNKNOWN = "This agent's credential is not known: its host was removed, or was given a newer one."
UNKNOWN_ADVICE = "issue a new one with `migrator agent-credential HOST`, if the host is to take part"


def issue(db: Database, host: str) -> str:
    """A new token for the host's agent; the old one stops working. It is shown once and cannot be read back.
    Raises BadRequest for what is no host's name."""
    host_name.check(host)
    with db.write() as connection:
        return issue_in(connection, host)


def issue_in(connection: Connection, host: str) -> str:
    """The same, as a part of a transaction."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(agent_credentials).where(agent_credentials.c.host == host))
    row = {"host": host, "token_sha256": digest(token), "created_at": now(connection)}
    connection.execute(agent_credentials.insert().values(row))
    return token


def has_one(connection: Connection, host: str) -> bool:
    query = select(agent_credentials.c.host).where(agent_credentials.c.host == host)
    return connection.execute(query).first() is not None


def holders(connection: Connection) -> Mapping[str, str]:
    """The digest of each token -> the host whose agent holds it."""
    query = select(agent_credentials.c.token_sha256, agent_credentials.c.host)
    return {row.token_sha256: row.host for row in connection.execute(query)}


def hold(connection: Connection, tokens: Mapping[str, str]) -> Collection[str]:
    """Of these hosts (host -> token) those whose token it still is; it stays so until the transaction ends."""
    held = {row.host: row.token_sha256 for row in connection.execute(_HELD, {"names": list(tokens)})}
    return {host for host, token in tokens.items() if held.get(host) == digest(token)}


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
