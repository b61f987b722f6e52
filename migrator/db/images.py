"""Images: rows in and out. Their bytes are files in ``image_dir``, named by id; nothing here touches them."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    delete,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.exc import IntegrityError

from migrator.db.clock import now
from migrator.db.rows import ImageRow
from migrator.db.tables import images, instances
from migrator.errors import AlreadyExists, Conflict, ImageNotFound

DELETED = "deleted"  # by its owner; its bytes stay as long as an instance may need them
_WITH_DATA = ("active", DELETED)


OPEN = ("public", "community")  # visibilities of images that every project may use


def get(connection: Connection, image_id: str, *, deleted: bool = False, project_id: str | None = None) -> ImageRow:
    """The image's row; a deleted one is only found when asked for; with ``project_id``, only one that the project may
    use. Raises ImageNotFound."""
    query = select(images).where(images.c.id == image_id)
    if project_id is not None:
        query = query.where(or_(images.c.owner == project_id, images.c.visibility.in_(OPEN)))
    row = connection.execute(query).one_or_none()
    if row is None or (row.status == DELETED and not deleted):
        raise ImageNotFound(f"No image found with ID {image_id}")
    return cast(ImageRow, row)


def ordered(
    connection: Connection,
    among: Mapping[str, Sequence[str]],
    sort: Sequence[tuple[str, bool]],
    project_id: str | None = None,
) -> Sequence[str]:
    """Ids, by ``sort`` (column, whether ascending) and then by id. ``among`` is column -> values. With ``project_id``,
    the project's own and public ones, and those of other projects that are named by their visibility, "community"."""
    query = select(images.c.id).where(*(images.c[column].in_(values) for column, values in among.items()))
    if project_id is not None:
        seen = ["public", *(kind for kind in among.get("visibility", ()) if kind in OPEN)]
        query = query.where(or_(images.c.owner == project_id, images.c.visibility.in_(seen)))
    order = [images.c[column].asc() if up else images.c[column].desc() for column, up in sort]
    query = query.where(images.c.status != DELETED).order_by(*(one.nulls_last() for one in order), images.c.id)
    return connection.execute(query).scalars().all()


def several(connection: Connection, ids: Sequence[str]) -> Sequence[ImageRow]:
    """The rows of ``ids``, in that order."""
    rows = connection.execute(select(images).where(images.c.id.in_(ids))).all()
    found = {row.id: row for row in cast(Sequence[ImageRow], rows)}
    return [found[ident] for ident in ids if ident in found]


def with_data(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of ``ids`` whose bytes agents can fetch."""
    if not ids:
        return set()
    query = select(images.c.id).where(images.c.id.in_(ids), images.c.status.in_(_WITH_DATA))
    return set(connection.execute(query).scalars())


def all_with_data(connection: Connection) -> set[str]:
    """Every image whose bytes agents can fetch."""
    return set(connection.execute(select(images.c.id).where(images.c.status.in_(_WITH_DATA))).scalars())


def create(connection: Connection, values: Mapping[str, Any]) -> ImageRow:
    image_id = values.get("id") or str(uuid.uuid4())
    if connection.execute(select(images.c.id).where(images.c.id == image_id)).first() is not None:
        raise AlreadyExists(f"Image ID {image_id} already exists!")
    moment = now(connection)
    row = {**values, "id": image_id, "status": "queued", "created_at": moment, "updated_at": moment}
    try:
        with connection.begin_nested():
            connection.execute(images.insert().values(**row))
    except IntegrityError as error:  # another took the id since we looked
        raise AlreadyExists(f"Image ID {image_id} already exists!") from error
    return get(connection, image_id)


def change(connection: Connection, image_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(update(images).where(images.c.id == image_id).values(updated_at=now(connection), **values))


def activate(connection: Connection, image_id: str, values: Mapping[str, Any]) -> None:
    """The image has its bytes from now on. Of two that say so the first wins: the other waits for its transaction, and
    then finds the image changed. Raises Conflict, and ImageNotFound for one that was deleted."""
    queued = update(images).where(images.c.id == image_id, images.c.status == "queued")
    changed = connection.execute(queued.values(status="active", updated_at=now(connection), **values))
    if changed.rowcount == 0:
        status = get(connection, image_id).status
        raise Conflict(f"Image status transition from {status} to saving is not allowed")


def without_virtual_size(connection: Connection) -> Sequence[ImageRow]:
    """Active images without a recorded virtual size."""
    query = select(images).where(images.c.status == "active", images.c.virtual_size.is_(None))
    return cast(Sequence[ImageRow], connection.execute(query.order_by(images.c.id)).all())


def remove(connection: Connection, image_id: str) -> None:
    if connection.execute(delete(images).where(images.c.id == image_id)).rowcount == 0:
        raise ImageNotFound(f"No image found with ID {image_id}")


def needed_by(connection: Connection, image_id: str, project_id: str | None) -> tuple[bool, int]:
    """Whether instances have disks, a kernel or a ramdisk of it, and how many of the project's; None: of all."""
    projects = select(instances.c.project_id, func.count()).where(_needs(literal(image_id)))
    found: dict[str, int] = {row[0]: row[1] for row in connection.execute(projects.group_by(instances.c.project_id))}
    return bool(found), sum(found.values()) if project_id is None else found.get(project_id, 0)


def abandoned(connection: Connection) -> Sequence[str]:
    """Ids of the deleted images that no instance needs any more."""
    query = select(images.c.id).where(images.c.status == DELETED, ~exists().where(_needs(images.c.id)))
    return connection.execute(query).scalars().all()


def _needs(image_id: ColumnElement[str]) -> ColumnElement[bool]:
    """An instance's spec names every image that it needs: ids are UUIDs, which are in it for no other reason."""
    return and_(instances.c.deleted == false(), sql_cast(instances.c.spec, Text).contains(image_id))
