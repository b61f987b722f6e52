"""The agent's image cache: fetched once, verified by SHA-256, under its name only when complete and on the disk.

Never changes an image, never gives out one whose checksum was not seen to match.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from migrator.errors import ImageUnavailable, StorageError
from migrator.private_files import make_folder, opener
from migrator.protocol import ImageRef

Fetch = Callable[[str], AbstractContextManager[Iterator[bytes]]]
"""Image id -> a context that yields its bytes in pieces. Raises ServerUnreachable (try again) or ImageUnavailable."""


class ImageStore(Protocol):
    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:
        """Image id -> local file for every image named, fetching what is missing: from ``elsewhere``, where the
        catalogue has it not, or has another content. Raises ServerUnreachable, ImageUnavailable, StorageError, and what
        ``elsewhere`` raises."""
        ...


def available(
    store: ImageStore, images: Sequence[ImageRef], elsewhere: Mapping[str, Fetch] | None = None
) -> dict[str, Path]:
    """``ensure`` without the images that no host has: a host may need none of them any more. A step that
    needs a missing one says so. ``elsewhere``: image id -> where else it is. Raises ServerUnreachable,
    StorageError."""
    found: dict[str, Path] = {}
    for image in images:
        where = (elsewhere or {}).get(image.id)
        try:
            found |= store.ensure((image,), where)
        except ImageUnavailable:
            if where is not None:
                raise
    return found


class ImageCache:
    """``ImageStore`` in a directory. Blocks while it fetches; one fetch at a time."""

    def __init__(self, directory: Path, fetch: Fetch) -> None:
        self._directory = directory
        self._fetch = fetch
        self._fetching = threading.Lock()

    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:
        return {image.id: self._one(image, elsewhere) for image in images}

    def _one(self, image: ImageRef, elsewhere: Fetch | None) -> Path:
        # The checksum is part of the name: other content under the same id is another file.
        path = self._directory / f"{UUID(image.id)}.{image.checksum_sha256[:16]}"
        with self._fetching:
            if path.is_file():
                with contextlib.suppress(OSError):
                    os.utime(path)  # one that is used is not a leftover
            else:
                self._obtain(image, path, elsewhere)
        return path

    def _obtain(self, image: ImageRef, path: Path, elsewhere: Fetch | None) -> None:
        try:
            self._download(image, path, self._fetch)
        except ImageUnavailable:
            if elsewhere is None:
                raise
            self._download(image, path, elsewhere)

    def _download(self, image: ImageRef, path: Path, fetch: Fetch) -> None:
        part = path.with_name(path.name + ".part")
        try:
            make_folder(self._directory)
            with fetch(image.id) as pieces, open(part, "wb", opener=opener) as file:
                found = hashlib.sha256()
                for piece in pieces:
                    found.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if found.hexdigest() != image.checksum_sha256:
                raise ImageUnavailable(
                    f"image {image.id} has the checksum {found.hexdigest()}, expected {image.checksum_sha256}",
                    advice="upload the image again",
                )
            os.replace(part, path)
        except OSError as error:
            raise StorageError(f"cannot keep image {image.id} in {self._directory}: {error}") from error
        finally:
            part.unlink(missing_ok=True)
