"""What libvirt would read into a file, were it to guess.

A storage pool guesses the format of every file in its directory and opens what an image's header names as its backing
file: any path of the host. So no file may lie in an offered directory whose beginning a guest, or the author of its
image, could have written for that: libvirtd would hang on a fifo, or open a device. Changes nothing.
"""

from collections.abc import Collection
from pathlib import Path

from migrator.errors import StorageError

# Of the formats whose headers name other files: cow, qcow and qcow2, qed, vmdk.
_MAGIC = (b"OOOM", b"QFI\xfb", b"QED\0", b"KDMV")


def refuse_images(directory: Path, besides: Collection[Path]) -> None:
    """Raises StorageError if a file there would be taken for an image; ``besides``: those that are images, with headers
    of our own. OSError when it cannot be read."""
    for path in sorted(directory.iterdir()):
        if path in besides or not path.is_file():
            continue
        with path.open("rb") as file:
            if file.read(4) in _MAGIC:
                raise StorageError(
                    f"{path} begins like a disk image, and libvirt would open what that names: it is not offered",
                    advice="let the guest overwrite the beginning of the disk, or convert the disk to qcow2",
                )
