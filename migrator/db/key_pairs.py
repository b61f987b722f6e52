"""Key pairs: rows in and out. Each is one user's in one project."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, and_, func, select
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import now_expression
from migrator.db.rows import KeyPairRow
from migrator.db.tables import key_pairs
from migrator.errors import AlreadyExists, BadRequest, KeyPairNotFound


class Owner(NamedTuple):
    project_id: str
    user_id: str


def create(connection: Connection, owner: Owner, values: Mapping[str, Any]) -> KeyPairRow:
    """``values``: name, type, public_key, fingerprint. Raises AlreadyExists."""
    row = {**values, "project_id": owner.project_id, "user_id": owner.user_id}
    try:
        with connection.begin_nested():
            connection.execute(key_pairs.insert().values(created_at=now_expression(connection), **row))
    except IntegrityError as error:
        raise _taken(values["name"]) from error
    return get(connection, owner, values["name"])


def refuse_taken(connection: Connection, owner: Owner, name: str) -> None:
    """Raises AlreadyExists."""
    if connection.execute(select(key_pairs.c.id).where(_of(owner), key_pairs.c.name == name)).first() is not None:
        raise _taken(name)


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"Key pair '{name}' already exists.")


def get(connection: Connection, owner: Owner, name: str) -> KeyPairRow:
    """Raises KeyPairNotFound."""
    row = connection.execute(select(key_pairs).where(_of(owner), key_pairs.c.name == name)).one_or_none()
    if row is None:
        raise KeyPairNotFound(f"Keypair {name} not found for user {owner.user_id}")
    return cast(KeyPairRow, row)


def listed(connection: Connection, owner: Owner, limit: int | None, marker: str | None) -> Sequence[KeyPairRow]:
    """By name, those after ``marker``. Raises BadRequest for a marker that is none of them."""
    query = select(key_pairs).where(_of(owner)).order_by(key_pairs.c.name).limit(limit)
    if marker is not None:
        try:
            get(connection, owner, marker)
        except KeyPairNotFound as error:
            raise BadRequest(f"Marker {marker} could not be found.") from error
        query = query.where(key_pairs.c.name > marker)
    return cast(Sequence[KeyPairRow], connection.execute(query).all())


def count(connection: Connection, owner: Owner) -> int:
    return int(connection.execute(select(func.count()).select_from(key_pairs).where(_of(owner))).scalar_one())


def remove(connection: Connection, owner: Owner, name: str) -> None:
    """Instances that were made with it keep it. Raises KeyPairNotFound."""
    row = get(connection, owner, name)
    connection.execute(key_pairs.delete().where(key_pairs.c.id == row.id))


def _of(owner: Owner) -> ColumnElement[bool]:
    return and_(key_pairs.c.project_id == owner.project_id, key_pairs.c.user_id == owner.user_id)
