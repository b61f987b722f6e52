"""Files and folders that their own user alone can read, whatever the umask of the process.

Owns the modes. QEMU runs as another user: libvirt makes it the owner of the files of its guest, images under the disks
included, but not of the folders above them, so those may be passed through and not read.
"""

import contextlib
import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG, S_ISVTX

from migrator.errors import SettingInvalid

log = logging.getLogger("migrator.files")

FILE, FOLDER, PASSAGE = 0o600, 0o700, 0o711


def make_folder(path: Path, mode: int = FOLDER) -> None:
    """It, and what is missing above it (PASSAGE); one that is there stays as it is. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent, PASSAGE)
    path.mkdir(mode, exist_ok=True)
    path.chmod(mode)


def check_setting(name: str, path: Path) -> None:
    """Raises SettingInvalid where something that is no folder is in the way of this one. What cannot be looked at now
    may be there later: storage that hangs, or is not mounted, keeps no process from starting."""
    with contextlib.suppress(OSError):
        found = next((part for part in (path, *path.parents) if part.exists()), path)
        if found.exists() and not found.is_dir():
            raise SettingInvalid(f"{name} = {path}: {found} is not a folder")


def opener(path: str, flags: int) -> int:
    """For ``open``: a file that is made is private."""
    return os.open(path, flags, FILE)


def write_text(path: Path, text: str) -> None:
    """Raises OSError."""
    with open(path, "w", opener=opener) as file:
        os.fchmod(file.fileno(), FILE)  # it may have been there
        file.write(text)


def sync(path: Path) -> None:
    """A file's content, or a directory's names, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def narrow(what: str, found: Iterable[tuple[Path, int]]) -> None:
    """Take from others what an earlier release, or a person, gave them: each path is left no more than its mode. What
    cannot be changed is left as it is."""
    changed, failed = 0, ""
    try:
        for path, mode in found:
            try:
                changed += _narrow_one(path, mode)
            except OSError as error:
                failed = failed or f"{path}: {error.strerror}"
    except OSError as error:  # a folder cannot be read
        failed = str(error)
    if changed:
        log.warning("%s: %d files and folders were open to other users; they are closed now", what, changed)
    if failed:
        log.warning("%s: files that are open to other users cannot be closed: %s", what, failed)


def narrow_folder(what: str, folder: Path, ours: Collection[str]) -> None:
    """Leave others no more than PASSAGE to a folder that holds nothing but files of these names. One that holds more
    may be others' too (``/tmp``, ``/var/lib``): it is left, and named."""
    try:
        found = folder.stat().st_mode
        shared = found & S_ISVTX or not {path.name for path in folder.iterdir()} <= set(ours)
    except OSError as error:
        log.warning("%s cannot be looked at: %s", what, error.strerror)
        return
    if not shared:
        narrow(what, [(folder.resolve(), PASSAGE)])
    elif S_IMODE(found) & 0o777 & ~PASSAGE:
        log.warning(
            "%s is open to other users (mode %o), and is left as it is, for they may use it: choose a folder that "
            "holds nothing else, or close this one if no other user needs it: chmod %o %s",
            what,
            S_IMODE(found),
            PASSAGE,
            folder,
        )


def _narrow_one(path: Path, mode: int) -> bool:
    """Whether it was open. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat().st_mode
        if (S_ISREG(found) or S_ISDIR(found)) and S_IMODE(found) & 0o777 & ~mode:
            path.chmod(S_IMODE(found) & mode)
            return True
    return False
