"""Join tokens: for each host that may join, one that is taken once for its agent's first credential. Only its
SHA-256 is kept. Never decides who may be invited (``scheduler/hosts/joining.py`` does)."""

import secrets
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select

from migrator.db.clock import now, now_expression
from migrator.db.credentials import digest
from migrator.db.tables import join_tokens as table


def issue(connection: Connection, host: str, valid_s: float) -> tuple[str, float]:
    """(token, when it ends). The host's earlier one, and every one that has ended, is gone."""
    token, moment = secrets.token_urlsafe(32), now(connection)
    connection.execute(delete(table).where(or_(table.c.host == host, table.c.expires_at <= moment)))
    ends = moment + valid_s
    row = {"host": host, "token_sha256": digest(token), "created_at": moment, "expires_at": ends}
    connection.execute(table.insert().values(row))
    return token, ends


def hosts(connection: Connection) -> Mapping[str, str]:
    """The digest of each token that has not ended -> its host."""
    query = select(table.c.token_sha256, table.c.host).where(table.c.expires_at > now_expression(connection))
    return {row.token_sha256: row.host for row in connection.execute(query)}


def take(connection: Connection, token: str) -> str | None:
    """The host that it is for, once; None for one that was taken, has ended or is not known."""
    return connection.execute(
        delete(table).where(_mine(connection, token)).returning(table.c.host)
    ).scalar_one_or_none()


def host_of(connection: Connection, token: str) -> str | None:
    """The same, and it is not taken."""
    return connection.execute(select(table.c.host).where(_mine(connection, token))).scalar_one_or_none()


def _mine(connection: Connection, token: str) -> ColumnElement[bool]:
    return and_(table.c.token_sha256 == digest(token), table.c.expires_at > now_expression(connection))
