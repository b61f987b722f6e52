"""Images that many instances' disks lie over: ``<pool>/_base/<image id>``, and beside each its checksum.

An image's id does not vouch for its content: it can be deleted, and another one be made under the same id. A disk over
the wrong content is damaged, so a base is used only for the content that the instance was made from. Never changes one,
never deletes one: ``leftovers`` does.
"""

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from migrator.compute.storage import qemu_img
from migrator.compute.storage.atomic_files import plain, publish
from migrator.errors import ImageUnavailable, StorageError
from migrator.protocol import ImageRef

BASE = "_base"
SUM = ".sha256"
OUT_OF_USE = ".unused."  # before the name of one that is about to be deleted (``idle_base_images``)


def fetched(image_id: str, images: Mapping[str, Path]) -> Path:
    """The local file of an image. Raises ImageUnavailable."""
    if image_id not in images:
        raise ImageUnavailable(
            f"no host has the image {image_id} any more: neither the catalogue nor the host that the instance was on",
            advice="register the image again under its id",
        )
    return images[image_id]


class BaseLocks:
    """One lock for each base: builds that need the same one wait for one copy, and no other build waits."""

    def __init__(self) -> None:
        self._locks: dict[Path, threading.Lock] = {}
        self._changing = threading.Lock()

    def of(self, base: Path) -> threading.Lock:
        with self._changing:
            return self._locks.setdefault(base, threading.Lock())


def make(pool: Path, image: ImageRef, images: Mapping[str, Path], locks: BaseLocks) -> Path:
    """The base of this image in a pool, made where there is none. Raises StorageError, also for a base of that id with
    another content."""
    base = pool / BASE / plain(image.id)
    with contextlib.suppress(OSError):
        os.utime(base)  # so that it is seen to be used
    if not base.exists():
        qemu_img.image_size(fetched(image.id, images), image.disk_format)
    with locks.of(base):
        if not base.exists():
            publish(base, partial(shutil.copyfile, fetched(image.id, images)))
        if image.checksum_sha256 and (found := _checksum(base)) != image.checksum_sha256:
            raise StorageError(
                f"{base} is another image of the same id: its checksum is {found}, and not {image.checksum_sha256}",
                advice="move the instances that were made from it away, then remove it",
            )
    return base


def lendable(base: Path, image: ImageRef) -> Path | None:
    """The base, if it is there and names no other file that its reader would open. Raises StorageError."""
    if not base.exists():
        return None
    qemu_img.image_size(base, image.disk_format)
    return base


def forget_checksum(base: Path) -> None:
    """The next file of this name may have another one. Raises OSError."""
    base.with_name(base.name + SUM).unlink(missing_ok=True)


def content(base: Path) -> str:
    """The SHA-256 of what the file has now, whatever is kept beside it. Raises OSError."""
    with base.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(base: Path) -> str:
    """Of the file itself, from any source; read once and kept beside it."""
    kept = base.with_name(base.name + SUM)
    try:
        if not kept.exists():
            found = content(base)
            publish(kept, lambda part: part.write_text(found + "\n"))
        return kept.read_text().strip()
    except OSError as error:
        raise StorageError(f"cannot read {base}: {error}") from error
