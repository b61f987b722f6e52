"""An image's bytes on their way in: received, hashed, inspected, and made the image's own in one step.

Owns the files in ``image_dir`` whose name begins with a dot: parts, each its upload's own and locked while it grows.
Any number of servers may share the directory. Of several uploads of one image the first that is complete wins.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from migrator.api.faults import TooLarge
from migrator.api.process.services import Services
from migrator.db import images as rows
from migrator.db.rows import ImageRow
from migrator.errors import BadRequest, StorageError
from migrator.private_files import FILE, FOLDER, make_folder, narrow, opener, sync
from migrator.untrusted import image_inspection

log = logging.getLogger(__name__)
_YOUNG_S = 60.0  # a part that is younger may be about to be locked


async def receive(request: Request, services: Services, row: ImageRow) -> None:
    """Take the body as the image's bytes; nothing stays of a broken upload. Raises BadRequest (another format),
    TooLarge, Conflict (it has bytes already), ImageNotFound (deleted during the upload)."""
    limit = services.settings.image_size_cap
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    with _full_disk(), _part(services.settings.image_dir, row.id) as (path, file):
        measured = await _write(request, file, limit)
        await run_in_threadpool(_finish, services, row, path, measured)


@contextlib.contextmanager
def _part(directory: Path, image_id: str) -> Iterator[tuple[Path, BinaryIO]]:
    make_folder(directory)
    _drop_abandoned(directory)
    path = directory / f".{image_id}.{secrets.token_hex(8)}"
    with open(path, "xb", opener=opener) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield path, file
        finally:
            path.unlink(missing_ok=True)


async def _write(request: Request, file: BinaryIO, limit: int) -> dict[str, Any]:
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        md5.update(chunk)
        sha256.update(chunk)
        await run_in_threadpool(file.write, chunk)
    file.flush()
    await run_in_threadpool(os.fsync, file.fileno())
    return {"size": size, "checksum": md5.hexdigest(), "checksum_sha256": sha256.hexdigest()}


def _finish(services: Services, row: ImageRow, part: Path, measured: dict[str, Any]) -> None:
    """Name and status change in one step: only the request that changes the row first names the file. A server
    that ends in between leaves a file without an active row, which the next upload replaces."""
    virtual_size = inspected(part, row.disk_format, services.settings.image_size_cap)
    directory = services.settings.image_dir
    with services.db.write() as connection:
        rows.activate(connection, row.id, {**measured, "virtual_size": virtual_size})
        os.replace(part, directory / row.id)
        sync(directory)


def inspected(path: Path, disk_format: str | None, limit: int) -> int:
    """The virtual size. Raises BadRequest for content that is not what the image says, or is larger than ``limit``."""
    if disk_format in image_inspection.BOOT_FILES or disk_format is None:
        return path.stat().st_size
    try:
        size = image_inspection.virtual_size(path, disk_format)
    except StorageError as error:
        raise BadRequest(f"The image's data is refused: {error.message}.") from error
    if size > limit:
        raise BadRequest(f"The image's disk has {size} bytes; image_size_cap allows {limit}.")
    return size


def tidy(services: Services) -> None:
    """At a server's start: remove what earlier ones left half made, and find the virtual sizes that are not known."""
    directory = services.settings.image_dir
    if not directory.is_dir():
        return
    narrow(f"image_dir = {directory}", [(directory, FOLDER), *((path, FILE) for path in directory.iterdir())])
    _drop_abandoned(directory)
    with services.db.read() as connection:
        unknown = rows.without_virtual_size(connection)
    for row in unknown:
        try:
            size = inspected(directory / row.id, row.disk_format, 2**63 - 1)
        except (BadRequest, OSError) as error:
            log.warning("the virtual size of image %s is not known: %s", row.id, error)
            continue
        with services.db.write() as connection:
            rows.change(connection, row.id, {"virtual_size": size})


def _drop_abandoned(directory: Path) -> None:
    """Parts that no process holds. One that is being written to is locked."""
    for path in directory.glob(".*.*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _YOUNG_S:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            log.info("removed %s, of an upload that broke off", path)


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TooLarge("There is no room for the image's data where the server keeps images.") from error


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The image's data is larger than {limit} bytes (image_size_cap).")
