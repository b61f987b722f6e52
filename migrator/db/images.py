"""Images: rows in and out. Their bytes are files in ``image_dir``, named by id; nothing here touches them."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from migrator.db.clock import now
from migrator.db.tables import images
from migrator.errors import AlreadyExists, ImageNotFound

ImageRow = Row[Any]


def get(connection: Connection, image_id: str) -> ImageRow:
    row = connection.execute(select(images).where(images.c.id == image_id)).one_or_none()
    if row is None:
        raise ImageNotFound(f"No image found with ID {image_id}")
    return row


def listed(connection: Connection, equal: Mapping[str, Any], ids: Sequence[str] | None = None) -> Sequence[ImageRow]:
    """Newest first. ``equal`` is column -> value; ``ids`` narrows to those."""
    query = select(images).where(*(images.c[column] == value for column, value in equal.items()))
    if ids is not None:
        query = query.where(images.c.id.in_(ids))
    return connection.execute(query.order_by(images.c.created_at.desc(), images.c.id)).all()


def with_data(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of ``ids`` whose bytes agents can fetch."""
    if not ids:
        return set()
    query = select(images.c.id).where(images.c.id.in_(ids), images.c.status == "active")
    return set(connection.execute(query).scalars())


def create(connection: Connection, values: Mapping[str, Any]) -> ImageRow:
    image_id = values.get("id") or str(uuid.uuid4())
    if connection.execute(select(images.c.id).where(images.c.id == image_id)).first() is not None:
        raise AlreadyExists(f"Image ID {image_id} already exists!")
    moment = now(connection)
    row = {**values, "id": image_id, "status": "queued", "created_at": moment, "updated_at": moment}
    connection.execute(images.insert().values(**row))
    return get(connection, image_id)


def change(connection: Connection, image_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(images).where(images.c.id == image_id).values(updated_at=now(connection), **values))


def remove(connection: Connection, image_id: str) -> None:
    if connection.execute(delete(images).where(images.c.id == image_id)).rowcount == 0:
        raise ImageNotFound(f"No image found with ID {image_id}")
