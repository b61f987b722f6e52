"""The half of a real driver that needs no hypervisor: an instance's files on this host.

Owns what is remembered of them in this process: checksums, and the copies that were begun. Everything here is a method
of ``compute/storage_driver.py``'s protocol and means what is written there.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from migrator.compute.storage import console_logs, lent_files, qemu_img
from migrator.compute.storage.checksum import Checksums
from migrator.compute.storage.disk_copy import DiskCopyJob, Reader, RemoteFile, drop_parts, pieces
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.file_permissions import CONSOLES, narrow_pool
from migrator.compute.storage.format_probe_guard import refuse_images
from migrator.compute.storage.kept_disks import KeptAside
from migrator.compute.storage.leftovers import Leftovers
from migrator.compute.storage.saved_memory import SavedMemory
from migrator.compute.storage_driver import ConsoleLog
from migrator.errors import DriverError, StorageError
from migrator.protocol import CopiedInputs, DiskFact, InstanceSpec, JobFact, KeptDisks, Leftover
from migrator.settings import AgentSettings


def _reached(source: str) -> int | str:
    try:
        return qemu_img.volume_bytes(source)
    except StorageError as error:
        return error.message


class HostFiles:
    """``connect`` opens a reader of the files that the host at a libvirt URI offers."""

    def __init__(self, settings: AgentSettings, connect: Callable[[str], Reader]) -> None:
        self._disks = Disks(settings.storage, settings.default_pool, settings.state_path / "storage", settings.host)
        self._memory = SavedMemory(settings.storage)
        self._kept = KeptAside(self._disks.present, settings.host, settings.evacuated_disk_retention)
        self._leftovers = Leftovers(self._disks.present, settings.state_path, settings.unused_file_retention)
        self._consoles = settings.state_path / CONSOLES
        self._seen_leftovers: Sequence[Leftover] = ()
        self._connect_reader = connect
        self._narrowed: set[str] = set()  # pools
        self._checksums = Checksums()
        self._copies: dict[str, DiskCopyJob] = {}
        self._copies_lock = threading.Lock()

    def disks(self, spec: InstanceSpec) -> Sequence[DiskFact]:
        return self._disks.facts(spec)

    def refuse_damaged(self, spec: InstanceSpec) -> None:
        self._disks.refuse_damaged(spec)

    def make_disks(self, spec: InstanceSpec, images: dict[str, Path], admin_pass: str | None = None) -> None:
        self._disks.make(spec, images, admin_pass)

    def grow_disks(self, spec: InstanceSpec) -> None:
        self._disks.grow(spec)

    def remove_files(self, spec: InstanceSpec, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        self._disks.remove(spec.uuid, pools, keep)
        for home in self._disks.all_homes(spec.uuid):
            self._checksums.forget(home)

    def set_aside(self, spec: InstanceSpec, operation_id: str, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        self._kept.set_aside(self._disks.clearable(spec.uuid, pools, keep), spec.uuid, operation_id)
        for home in self._disks.all_homes(spec.uuid):
            self._checksums.forget(home)

    def kept_disks(self, uuid: str | None = None) -> Sequence[KeptDisks]:
        return self._kept.listed(uuid)

    def restore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        found = {one.pool: Path(one.path) for one in self._kept.listed(spec.uuid) if one.operation == kept}
        self._disks.check_complete(spec, found)
        self._disks.clearable(spec.uuid, list(found), ())
        self._swap(spec, kept, operation_id)

    def unrestore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        self._swap(spec, operation_id, kept)

    def _swap(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        self._kept.exchange(spec.uuid, kept, operation_id)
        for home in self._disks.all_homes(spec.uuid):
            self._checksums.forget(home)

    def drop_kept(self, uuid: str, operation_id: str) -> int:
        return self._kept.delete(uuid, operation_id)

    def tend_kept(self) -> Sequence[KeptDisks]:
        return self._kept.tend()

    def console_logs(self) -> Mapping[str, ConsoleLog]:
        return console_logs.found(self._consoles)

    def read_console(self, uuid: str, start: int, most: int) -> bytes:
        return console_logs.read(self._consoles, uuid, start, most)

    def leftovers(self) -> Sequence[Leftover]:
        return self._seen_leftovers

    def _tidy(self, present: Collection[str]) -> Sequence[Leftover]:
        self._narrow()
        gone = self._leftovers.tidy(present)
        self._seen_leftovers = self._leftovers.find(present)
        return gone

    def _narrow(self) -> None:
        """Once for each pool, when it is there."""
        for name, pool in self._disks.present().items():
            if name not in self._narrowed:
                self._narrowed.add(name)
                narrow_pool(pool)

    def delete_saved_memory(self, uuid: str) -> None:
        self._memory.delete(uuid)

    def checksums(self, spec: InstanceSpec, targets: Sequence[str]) -> Mapping[str, str] | None:
        return self._checksums.of({target: self._disks.file(spec, target) for target in targets})

    def volumes(self, sources: Sequence[str]) -> Mapping[str, int | str]:
        with ThreadPoolExecutor(max(1, len(sources))) as at_once:
            return dict(zip(sources, at_once.map(_reached, sources), strict=True))

    # copies
    def start_copy(self, spec: InstanceSpec, inputs: CopiedInputs, images: dict[str, Path]) -> None:
        wanted = self._missing(spec, inputs)
        with self._copies_lock:
            old = self._copies.get(spec.uuid)
            if old is not None and (old.active or (old.error is None and not wanted)):
                return
            copy = self._copies[spec.uuid] = DiskCopyJob(
                spec.uuid,
                wanted,
                connect=lambda: self._connect_reader(inputs.source_uri),
                prepare=lambda: self._disks.prepare_copy(spec, inputs.guest, inputs.copy_disks, images),
                inspect=lambda one: self._disks.refuse_foreign_copy(spec, one.path, one.part),
                appeared=self._checksums.begin,
            )
            copy.start()

    def copy_job(self, uuid: str) -> JobFact | None:
        copy = self._copies.get(uuid)
        return None if copy is None else copy.fact()

    def prove(self, pools: Sequence[str]) -> Mapping[str, str]:
        return self._disks.prove(pools)

    def compare_storage(
        self, storage: Mapping[str, str], proofs: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        return self._disks.compare_storage(storage, proofs)

    def copy_error(self, uuid: str) -> DriverError | None:
        copy = self._copies.get(uuid)
        return None if copy is None or copy.active else copy.error

    def stop_copy(self, uuid: str) -> bool:
        copy = self._copies.get(uuid)
        if copy is not None and not copy.stop():
            return False
        for home in self._disks.all_homes(uuid):
            try:
                drop_parts(home)
            except OSError as error:
                raise StorageError(f"cannot clear {home}: {error}") from error
        return True

    def _offerable(self, spec: InstanceSpec, targets: Sequence[str]) -> dict[str, Path]:
        """The directories that hold these targets (pool -> directory), if libvirt may look at all that is in them."""
        homes = self._disks.homes(spec, targets)
        self._disks.refuse_foreign(spec)
        images = {self._disks.path(spec.uuid, disk) for disk in spec.disks if disk.format == "qcow2"}
        for home in homes.values():
            try:
                refuse_images(home, images)
            except OSError as error:
                raise StorageError(f"cannot read {home}: {error}") from error
        return homes

    def _lendable(
        self, spec: InstanceSpec, targets: Sequence[str], images: Sequence[str]
    ) -> tuple[dict[str, Path], dict[str, str]]:
        """Directories that hold these config drives and images and nothing else (pool -> directory), and where in them
        they are (target or image id -> path)."""
        drives = self._disks.config_drives(spec, targets)
        made_from = self._disks.lendable_images(spec, images)
        lent, directories = {**drives, **made_from}, {}
        for pool in {pool for pool, _ in lent.values()}:
            paths, bases = ([p for own, p in group.values() if own == pool] for group in (drives, made_from))
            directories[pool] = lent_files.lend(self._disks.directory(spec.uuid, pool), paths, bases)
        return directories, {name: str(directories[pool] / path.name) for name, (pool, path) in lent.items()}

    @contextlib.contextmanager
    def lent_file(self, source_uri: str, path: str) -> Iterator[Iterator[bytes]]:
        with contextlib.closing(self._connect_reader(source_uri)) as reader:
            yield pieces(reader, path)

    def _missing(self, spec: InstanceSpec, inputs: CopiedInputs) -> list[RemoteFile]:
        there = {fact.target: fact for fact in inputs.guest.disks}
        wanted = []
        for target in inputs.copy_disks:
            if target not in there:
                raise StorageError(f"the source does not describe the disk {target}")
            path = self._disks.file(spec, target)
            if not path.exists():
                wanted.append(RemoteFile(there[target].path, path, max(there[target].allocated_bytes, 0)))
        return wanted
