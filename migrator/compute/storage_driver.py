"""The half of a driver's protocol that is about an instance's files.

Owns what every driver promises of disks, kernel and ramdisk, saved memory, and what is kept aside, as ``driver.py``
does of domains: safe to call again, raises only ``errors.DriverError`` and its children. Never starts, stops or moves a
guest.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from migrator.errors import DriverError
from migrator.protocol import (
    CopiedInputs,
    DiskFact,
    GuestDescription,
    InstanceSpec,
    JobFact,
    KeptDisks,
    Leftover,
)


@dataclass(frozen=True, slots=True)
class ConsoleLog:
    """``file`` tells two files of one name apart."""

    file: int
    size: int


class StorageDriver(Protocol):
    def disks(self, spec: InstanceSpec) -> Sequence[DiskFact]:
        """One fact per disk of the spec, existing or not, at the path this host keeps it."""
        ...

    def refuse_damaged(self, spec: InstanceSpec) -> None:
        """Raises StorageError, with the file's name, unless every disk of the spec is whole: its file and the image
        that it lies over are there, are what they should be, and end where what they refer to does. Also while the
        guest runs. Content that changed in place is not found: ``checksums`` tells of that. Changes nothing."""
        ...

    def make_disks(self, spec: InstanceSpec, images: dict[str, Path], admin_pass: str | None = None) -> None:
        """Make every missing disk of the spec from its image (a copy-on-write overlay, or a copy for raw) or empty,
        and keep kernel and ramdisk beside them. ``images`` maps image id to a local file. Existing disks are left
        alone. A disk appears under its name only when complete. ``admin_pass`` goes into a config drive that is made
        now. Raises StorageError."""
        ...

    def grow_disks(self, spec: InstanceSpec) -> None:
        """Make disks that are smaller than the spec says as large as it says; never smaller. For a domain that has no
        process. Raises StorageError."""
        ...

    def volumes(self, sources: Sequence[str]) -> Mapping[str, int | str]:
        """Source of each volume -> its size in bytes, found out by connecting to it from this host, or why it cannot
        be reached. All at once, within 5 s or so; changes nothing."""
        ...

    # disks on their way to another host, of an instance that is shut off
    def offer(self, spec: InstanceSpec, targets: Sequence[str]) -> None:
        """Source: let another host read these disks (targets, and MEMORY) through this host's libvirt. Raises
        StorageError, also for a file that libvirt would take for something that it is not."""
        ...

    def lend(self, spec: InstanceSpec, targets: Sequence[str], images: Sequence[str] = ()) -> Mapping[str, str]:
        """Source: the same for config drives of a guest that runs; target -> the path to read it at. Nothing that the
        guest can write to lies beside them there: it could be made to look like an image between two looks. Raises
        StorageError, also for a target that is no config drive. ``images``: ids of images; id -> path of each that lies
        here as it was: under the instance's disks, or as its kernel or ramdisk."""
        ...

    def lent_file(self, source_uri: str, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """Destination: the bytes of a file that the source lends, in order, for a reader with its checksum. Raises
        DriverError, also while they are read."""
        ...

    def withdraw(self, uuid: str) -> None:
        """Source: end what ``offer`` and ``lend`` began. No-op for none; the instance's own files are never touched."""
        ...

    def checksums(self, spec: InstanceSpec, targets: Sequence[str]) -> Mapping[str, str] | None:
        """Checksums of the content of these files, by target. None while they are being worked out, in the background;
        a file that changed since is read again. Raises StorageError for one that is missing or cannot be read."""
        ...

    def start_copy(self, spec: InstanceSpec, inputs: CopiedInputs, images: dict[str, Path]) -> None:
        """Destination: begin in the background to fetch what is missing of ``inputs.copy_disks`` from the source, as
        it is there (sparse, over the same backing image, not flattened), and to place kernel and ramdisk. A file
        appears under its name only when complete and on the disk. No-op while one is under way for the instance."""
        ...

    def copy_job(self, uuid: str) -> JobFact | None:
        """Bytes of the copy begun by this process (``active`` while under way), or None."""
        ...

    def copy_error(self, uuid: str) -> DriverError | None:
        """Why the last copy begun by this process ended early, or None."""
        ...

    def stop_copy(self, uuid: str) -> bool:
        """End the copy, if one is under way, and drop its half-made files. True: none is under way any more. Returns
        within 5 s."""
        ...

    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        """Before a block migration: an empty disk of the source's virtual size (with the same backing image) for each
        disk whose pool this host does not share with the source; touch nothing that exists. Also places kernel and
        ramdisk where the domain expects them."""
        ...

    def remove_files(self, spec: InstanceSpec, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        """Delete the instance's directory in the pools named, and nothing else; not in a pool whose storage identity,
        read at that moment, is one of ``keep``. No error where there is none."""
        ...

    def delete_saved_memory(self, uuid: str) -> None:
        """Remove the instance's saved memory. No-op for none."""
        ...

    # files that are kept aside
    def set_aside(self, spec: InstanceSpec, operation_id: str, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        """Instead of ``remove_files``: rename the instance's directory in these pools, so that nothing finds or
        overwrites it and its disks still find what they are backed by. Needs no free byte. No error where there is
        none."""
        ...

    def kept_disks(self, uuid: str | None = None) -> Sequence[KeptDisks]:
        """What is kept aside here, of one instance or of all, with its size and age."""
        ...

    def restore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        """Put back what the operation ``kept`` set aside, for an instance without a process, and set aside what lies
        there now as ``operation_id``'s. Raises StorageError, with nothing changed, unless every disk that the spec has
        in those pools is among it, no larger than the spec says."""
        ...

    def unrestore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        """Undo ``restore_kept``, as far as it came."""
        ...

    def drop_kept(self, uuid: str, operation_id: str) -> int:
        """Delete what the operation set aside; the bytes that are free again. No-op for none."""
        ...

    def tend_kept(self) -> Sequence[KeptDisks]:
        """Count the time that has passed, and delete what was kept for long enough: those are the answer."""
        ...

    # files that nothing uses
    def leftovers(self) -> Sequence[Leftover]:
        """What lies here and is used by nothing here, as it was seen in the last minutes."""
        ...

    def tidy(self) -> Sequence[Leftover]:
        """Look for that anew, and remove what was not used for long enough and is no instance's data: these are the
        answer."""
        ...

    # consoles
    def console_logs(self) -> Mapping[str, ConsoleLog]:
        """By instance, what its guest wrote to its console on this host, also of guests that left it. Raises
        StorageError."""
        ...

    def read_console(self, uuid: str, start: int, most: int) -> bytes:
        """At most so many bytes of that log, from ``start`` on. Raises StorageError."""
        ...

    # shared storage
    def prove(self, pools: Sequence[str]) -> Mapping[str, str]:
        """Write something new into each of these pools; pool -> what another host finds there if it has the same
        storage. On the disk when it returns. Raises StorageError."""
        ...

    def compare_storage(
        self, storage: Mapping[str, str], proofs: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Pools with the identity that another host found (pool -> identity): those in which what that one wrote is
        found, and those in which it is not, which are another storage with a copied marker."""
        ...
