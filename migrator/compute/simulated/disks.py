"""The simulated hypervisor's files: disks, saved memory, their checksums and their way to another host."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from migrator.compute.simulated import disk_copy
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.connection import PROCESS, Connection, call
from migrator.compute.simulated.state import GIB, MIB, FileCopy, SimulatedDisk
from migrator.errors import DriverError, HypervisorUnavailable, ImageUnavailable, StorageError
from migrator.protocol import (
    MEMORY,
    CopiedInputs,
    DiskFact,
    GuestDescription,
    InstanceSpec,
    JobFact,
    KeptDisks,
    Leftover,
    LeftoverKind,
)

_IMAGE_GB = 1  # virtual size of a disk that takes its image's
_CONFIG_DRIVE_BYTES = 1 * MIB
_SUM_BYTES_PER_S = 2000 * MIB


class SimulatedDisks(Connection):
    def __init__(self, name: str, simulation: SimulatedCluster) -> None:
        super().__init__(name, simulation)
        self._copies: dict[str, FileCopy] = {}  # instance -> the last copy begun on this connection
        self._summing: dict[tuple[str, str], tuple[SimulatedDisk, str, float]] = {}  # file, its state, known from
        simulation.end_copies(name)

    @call
    def disks(self, spec: InstanceSpec) -> Sequence[DiskFact]:
        return self._disk_facts(spec)

    @call
    def refuse_damaged(self, spec: InstanceSpec) -> None:
        for disk in spec.disks:
            if damage := self._storage(disk.pool).damage(self._file(spec, disk.target)):
                raise StorageError(f"{self._path(spec.uuid, disk.pool, disk.target)}: {damage}")

    @call
    def volumes(self, sources: Sequence[str]) -> Mapping[str, int | str]:
        return self._sizes(sources)

    def _sizes(self, sources: Sequence[str]) -> Mapping[str, int | str]:
        found: dict[str, int | str] = {}
        for source in sources:
            try:
                found[source] = self.simulation.volume(self.name, source).virtual_bytes
            except StorageError as error:
                found[source] = error.message
        return found

    @call
    def make_disks(self, spec: InstanceSpec, images: dict[str, Path], admin_pass: str | None = None) -> None:
        for disk in spec.disks:
            new = self._find(spec, disk.target) is None
            if new and disk.image_id is not None and disk.image_id not in images:
                raise ImageUnavailable(f"no host has the image {disk.image_id} any more")
            size = _CONFIG_DRIVE_BYTES if disk.config_drive else (disk.size_gb or _IMAGE_GB) * GIB
            self._storage(disk.pool).make(spec.uuid, disk, size, disk.image_id)
            if new and disk.config_drive:
                drive = self._file(spec, disk.target)
                drive.admin_pass, drive.token = admin_pass, f"-{next(self.simulation.tokens)}"

    @call
    def grow_disks(self, spec: InstanceSpec) -> None:
        domain = self.host.domains.get(spec.uuid)
        if domain is not None and domain.state in PROCESS:
            raise DriverError(f"domain {spec.uuid} is {domain.state}: its disks are not grown")
        for disk in spec.disks:
            found = self._file(spec, disk.target)
            missing = 0 if disk.config_drive else disk.size_gb * GIB - found.virtual_bytes
            if missing > 0:
                self._lock_image(spec.uuid, disk)
                self._storage(disk.pool).take(disk.pool, missing)
                found.virtual_bytes += missing

    @call
    def make_target_disks(self, spec: InstanceSpec, guest: GuestDescription, images: dict[str, Path]) -> None:
        described = {fact.target: fact for fact in guest.disks}
        for disk in spec.disks:
            if self._storage(disk.pool).identity == guest.storage.get(disk.pool):
                continue
            if disk.config_drive:
                self._file(spec, disk.target)  # it was copied before, and is not made anew
                continue
            if disk.target not in described:
                raise StorageError(f"the source does not describe the disk {disk.target}")
            fact = described[disk.target]
            if fact.backing_image_id is not None and fact.backing_image_id not in images:
                raise ImageUnavailable(f"no host has the image {fact.backing_image_id} any more")
            self._storage(disk.pool).make(spec.uuid, disk, fact.virtual_bytes, fact.backing_image_id)

    @call
    def remove_files(self, spec: InstanceSpec, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        for name in pools:
            storage = self.host.pools.get(name)
            if storage is not None and storage.identity not in keep:
                storage.remove(spec.uuid)

    @call
    def set_aside(self, spec: InstanceSpec, operation_id: str, pools: Sequence[str], keep: Sequence[str] = ()) -> None:
        for name in pools:
            storage = self.host.pools.get(name)
            if storage is not None and storage.identity not in keep:
                storage.set_aside(spec.uuid, operation_id, self.simulation.clock())

    @call
    def kept_disks(self, uuid: str | None = None) -> Sequence[KeptDisks]:
        return self._kept_disks(uuid)

    def _kept_disks(self, uuid: str | None = None) -> Sequence[KeptDisks]:
        now = self.simulation.clock()
        return [
            KeptDisks(
                instance=owner,
                operation=operation,
                pool=pool,
                path=self._path(owner, pool, f"aside-{operation}"),
                files=tuple(sorted(aside.files)),
                bytes=sum(file.allocated_bytes for file in aside.files.values()),
                age_s=now - aside.since,
                left_s=max(0.0, aside.since + self.simulation.kept_retention_s - now),
            )
            for pool, storage in self.host.pools.items()
            for (owner, operation), aside in storage.disks.aside.items()
            if uuid in (None, owner)
        ]

    @call
    def restore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        for name, storage in self.host.pools.items():
            if (found := storage.disks.aside.get((spec.uuid, kept))) is not None:
                for disk in spec.disks:
                    if disk.pool == name and disk.target not in found.files:
                        raise StorageError(f"{disk.target} is missing: the instance has had other disks then")
        self._swap(spec.uuid, kept, operation_id)

    @call
    def unrestore_kept(self, spec: InstanceSpec, kept: str, operation_id: str) -> None:
        self._swap(spec.uuid, operation_id, kept)

    def _swap(self, uuid: str, kept: str, operation_id: str) -> None:
        for storage in self.host.pools.values():
            if (uuid, kept) in storage.disks.aside:
                back = storage.disks.aside.pop((uuid, kept))
                storage.set_aside(uuid, operation_id, self.simulation.clock())
                storage.disks.update({(uuid, target): file for target, file in back.files.items()})

    @call
    def drop_kept(self, uuid: str, operation_id: str) -> int:
        found = [s.disks.aside.pop((uuid, operation_id), None) for s in self.host.pools.values()]
        return sum(file.allocated_bytes for one in found if one is not None for file in one.files.values())

    @call
    def tend_kept(self) -> Sequence[KeptDisks]:
        gone = [one for one in self._kept_disks() if not one.left_s]
        for one in gone:
            self._storage(one.pool).disks.aside.pop((one.instance, one.operation), None)
        return gone

    @call
    def leftovers(self) -> Sequence[Leftover]:
        return [
            Leftover(kind=LeftoverKind.DISKS, pool=pool, path=f"/simulated/{pool}/{uuid}", instance=uuid)
            for pool, storage in self.host.pools.items()
            for uuid in sorted({owner for owner, _ in storage.disks} - self.host.domains.keys())
        ]

    @call
    def tidy(self) -> Sequence[Leftover]:
        return ()  # what is removed are the real agent's own files

    @call
    def delete_saved_memory(self, uuid: str) -> None:
        for storage in self.host.pools.values():
            storage.disks.pop((uuid, MEMORY), None)

    # on their way to another host
    @call
    def offer(self, spec: InstanceSpec, targets: Sequence[str]) -> None:
        for target in targets:
            self._file(spec, target)
        self.host.offers[spec.uuid] = set(targets)

    @call
    def lend(self, spec: InstanceSpec, targets: Sequence[str], images: Sequence[str] = ()) -> Mapping[str, str]:
        drives = {disk.target: disk for disk in spec.disks if disk.config_drive}
        if others := [target for target in targets if target not in drives]:
            raise StorageError(f"{', '.join(others)} of {spec.uuid} is no config drive, and is not lent")
        for target in targets:
            self._file(spec, target)
        places = {target: self._path(spec.uuid, drives[target].pool, f".lent/{target}") for target in targets}
        if targets:
            self.host.offers[spec.uuid], self.host.lent[spec.uuid] = set(targets), places
        held = {fact.backing_image_id for fact in self._disk_facts(spec)} | {spec.kernel_id, spec.ramdisk_id}
        lent = {i: self._path(spec.uuid, spec.home_pool, f".lent/{i}") for i in images if i in held}
        self.host.lent_images[spec.uuid] = {path: image for image, path in lent.items()}
        return {**places, **lent}

    @contextlib.contextmanager
    def lent_file(self, source_uri: str, path: str) -> Iterator[Iterator[bytes]]:
        yield iter((self._lent_image(source_uri, path).encode(),))  # the content of an image is its id

    @call
    def _lent_image(self, source_uri: str, path: str) -> str:
        source = source_uri.removeprefix("simulated://")
        host = self.simulation.hosts.get(source)
        if host is None or not (host.powered and host.daemon_up and self.simulation.reachable(source, self.name)):
            raise disk_copy.lost(source)
        for lent in host.lent_images.values():
            if path in lent:
                return lent[path]
        raise HypervisorUnavailable(f"{source} does not offer {path}")

    @call
    def withdraw(self, uuid: str) -> None:
        self.host.offers.pop(uuid, None)
        self.host.lent.pop(uuid, None)
        self.host.lent_images.pop(uuid, None)

    @call
    def checksums(self, spec: InstanceSpec, targets: Sequence[str]) -> Mapping[str, str] | None:
        now, found = self.simulation.clock(), {target: self._file(spec, target) for target in targets}
        for target, file in found.items():
            known = self._summing.get((spec.uuid, target))
            if known is None or known[0] is not file or known[1] != file.checksum:
                ready = now + file.allocated_bytes / _SUM_BYTES_PER_S
                self._summing[spec.uuid, target] = (file, file.checksum, ready)
        if any(self._summing[spec.uuid, target][2] > now for target in targets):
            return None
        return {target: file.checksum for target, file in found.items()}

    @call
    def start_copy(self, spec: InstanceSpec, inputs: CopiedInputs, images: dict[str, Path]) -> None:
        if (self.name, spec.uuid) in self.simulation.copies:
            return
        source = inputs.source_uri.removeprefix("simulated://")
        if source not in self.simulation.hosts or source == self.name:
            raise DriverError(f"unable to connect to server at {inputs.source_uri!r}")
        under = {d.backing_image_id for d in inputs.guest.disks if d.target in inputs.copy_disks and d.backing_image_id}
        if lacking := under - set(images):
            raise ImageUnavailable(f"no host has the image {', '.join(sorted(lacking))} any more")
        missing = [target for target in inputs.copy_disks if self._find(spec, target) is None]
        places, lent = (
            {d.target: d.path for d in inputs.guest.disks},
            self.simulation.hosts[source].lent.get(spec.uuid, {}),
        )
        if unknown := [target for target in missing if target in lent and places.get(target) != lent[target]]:
            raise StorageError(f"{source} does not lend {', '.join(unknown)} at {places}")
        self._copies[spec.uuid] = disk_copy.begin(
            self.simulation, source, self.name, spec, missing, self.simulation.clock()
        )

    def copy_job(self, uuid: str) -> JobFact | None:
        with self.simulation.lock:
            self.simulation.advance()
            copy = self._copies.get(uuid)
            return disk_copy.job_fact(copy, self.simulation.clock()) if copy is not None else None

    def copy_error(self, uuid: str) -> DriverError | None:
        with self.simulation.lock:
            self.simulation.advance()
            copy = self._copies.get(uuid)
            return copy.error if copy is not None else None

    def stop_copy(self, uuid: str) -> bool:
        with self.simulation.lock:
            copy = self.simulation.copies.get((self.name, uuid))
            if copy is not None:
                stopped = DriverError("the copy was stopped")
                disk_copy.fail(self.simulation, copy, stopped, self.simulation.clock())
            return True

    def _file(self, spec: InstanceSpec, target: str) -> SimulatedDisk:
        found = self._find(spec, target)
        if found is None:
            path = self._path(spec.uuid, disk_copy.pool_of(spec, target), target)
            raise StorageError(f"{path}: No such file or directory")
        return found

    def _find(self, spec: InstanceSpec, target: str) -> SimulatedDisk | None:
        return self._storage(disk_copy.pool_of(spec, target)).disks.get((spec.uuid, target))
