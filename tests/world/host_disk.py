"""What a simulated agent keeps on its host's disk: its journal and its images. Either fails while the disk is full."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from migrator.compute.image_cache import Fetch
from migrator.compute.journal import JournalFull, MemoryMedium
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.errors import ImageUnavailable, StorageError
from migrator.protocol import ImageRef
from tests.world.faults import Fault, Faults, Killed


class JournalMedium(MemoryMedium):
    def __init__(self, kept: list[bytes], host: str, faults: Faults, full: Collection[str]) -> None:
        """``full``: hosts whose disk has no room."""
        super().__init__(kept)
        self._host, self._faults, self._full = host, faults, full

    def append(self, line: bytes) -> None:
        self._take_room()
        fault = self._faults.arrive(self._host, "journal")
        if fault is Fault.KILL_BEFORE:
            raise Killed(self._host)
        super().append(line)
        if fault is Fault.KILL_AFTER:
            raise Killed(self._host)

    def replace(self, lines: Iterable[bytes]) -> None:
        self._take_room()
        super().replace(lines)

    def _take_room(self) -> None:
        if self._host in self._full:
            raise JournalFull("cannot write to the agent's journal: no space left on device")


class CachedImages:
    """``ImageStore`` of a host whose catalogue lacks ``lost``. The content of an image is its id."""

    def __init__(self, host: str, simulation: SimulatedCluster, lost: set[str], full: Collection[str]) -> None:
        self.host, self.simulation, self.lost, self.full = host, simulation, lost, full

    def ensure(self, images: Sequence[ImageRef], elsewhere: Fetch | None = None) -> dict[str, Path]:
        cached = self.simulation.hosts[self.host].fetched_images
        for image in images:
            if self.host in self.full and image.id not in cached:
                raise StorageError(f"image {image.id} cannot be kept: no space left on device")
            if image.id in self.lost and image.id not in cached:
                if elsewhere is None:
                    raise ImageUnavailable(f"image {image.id}: the server answered 404")
                with elsewhere(image.id) as pieces:
                    if b"".join(pieces).decode() != image.id:
                        raise ImageUnavailable(f"image {image.id} has another checksum")
            cached.add(image.id)
        return {image.id: Path("/simulated/images") / image.id for image in images}
