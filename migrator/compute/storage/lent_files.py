"""What of a running guest's files another host may read: links to those that the guest cannot write to.

Owns the directory ``.lent`` beside an instance's disks. libvirt is shown that one, and never the disks' own: there a
guest could write the header of an image onto its raw disk after it was looked at, and libvirt would open whatever that
header names. Never talks to libvirt, and never changes what a link leads to.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from migrator.compute.storage.atomic_files import entries
from migrator.compute.storage.format_probe_guard import refuse_images
from migrator.errors import StorageError
from migrator.private_files import FOLDER, make_folder

LENT = ".lent"


def lend(home: Path, files: Sequence[Path], images: Sequence[Path] = ()) -> Path:
    """The directory below ``home`` with links to these files of it, and nothing else. ``images``: files that begin like
    disk images, and that no guest has written. Raises StorageError."""
    directory = home / LENT
    try:
        make_folder(directory, FOLDER)
        if not S_ISDIR(directory.lstat().st_mode):
            raise StorageError(f"{directory} is no directory of ours: nothing is lent")
        wanted = {file.name: file for file in (*files, *images)}
        for link in entries(directory):
            if link.name not in wanted or not link.samefile(wanted[link.name]):
                link.unlink()
        for name, file in wanted.items():
            _link(file, directory / name)
        refuse_images(directory, {directory / image.name for image in images})
    except OSError as error:
        raise StorageError(f"cannot lend from {home}: {error}") from error
    return directory


def take_back(home: Path) -> None:
    """Remove that directory; no-op for none. Raises StorageError."""
    try:
        shutil.rmtree(home / LENT)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StorageError(f"cannot remove {home / LENT}: {error}") from error


def _link(file: Path, link: Path) -> None:
    if not S_ISREG(file.lstat().st_mode):
        raise StorageError(f"{file} is no plain file: it is not lent")
    if not link.exists():
        os.link(file, link, follow_symlinks=False)
