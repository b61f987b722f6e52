"""What every driver promises about volumes: they are attached and reached, and stay what and where they are."""

import pytest

from migrator.errors import DriverError
from migrator.protocol import MEMORY, DomainState, InstanceSpec, VolumeSpec
from tests.contract.pair import GIB, MOVE, OPERATION, POOLS, Pair, failed

NOWHERE = "nbd://192.0.2.1:9/nothing"


def backed(pair: Pair, *, size_gb: int = 1) -> InstanceSpec:
    """Its root disk is a volume; what it boots from lies in its home."""
    volume = VolumeSpec(id="v", target="vda", source=pair.volume(), size_gb=size_gb)
    return pair.spec("local").model_copy(update={"disks": (), "volumes": (volume,), "state_pool": "local"})


def mixed(pair: Pair) -> InstanceSpec:
    volume = VolumeSpec(id="v", target="vdb", source=pair.volume(), size_gb=1)
    return pair.spec("local").model_copy(update={"volumes": (volume,)})


def booted(pair: Pair, spec: InstanceSpec) -> InstanceSpec:
    pair.source.make_disks(spec, pair.images)
    pair.source.define_and_start(spec, OPERATION, 1)
    pair.settle(lambda: pair.source.domain(spec.uuid).state is DomainState.RUNNING)
    return spec


class VolumesContract:
    def test_a_volume_is_reached_from_both_hosts_and_one_that_is_nowhere_from_none(self, pair: Pair) -> None:
        source = pair.volume()
        pair.hide(NOWHERE)
        for driver in (pair.source, pair.destination):
            found = driver.volumes([source, NOWHERE])
            there, nowhere = found[source], found[NOWHERE]
            assert isinstance(there, int)
            assert there >= GIB
            assert isinstance(nowhere, str)
            assert nowhere
        assert pair.source.volumes([]) == {}

    def test_a_guest_without_its_volume_does_not_start(self, pair: Pair) -> None:
        pair.hide(NOWHERE)
        volume = VolumeSpec(id="v", target="vda", source=NOWHERE, size_gb=1)
        spec = backed(pair).model_copy(update={"volumes": (volume,)})
        pair.source.make_disks(spec, pair.images)
        with pytest.raises(DriverError):
            pair.source.define_and_start(spec, OPERATION, 1)
        assert pair.source.domain(spec.uuid).state is not DomainState.RUNNING

    def test_the_destination_names_a_volume_that_it_lacks_or_that_shrank(self, pair: Pair) -> None:
        spec = booted(pair, backed(pair))
        guest = pair.source.describe_guest(spec)
        for block in (None, False):
            assert failed(pair.destination.check_destination(spec, guest, block)) == {}
        assert "storage" in failed(pair.destination.check_destination(spec, guest, True))
        pair.hide(NOWHERE)
        (volume,) = spec.volumes
        for change in ({"source": NOWHERE}, {"size_gb": 100_000}):
            other = spec.model_copy(update={"volumes": (volume.model_copy(update=change),)})
            found = failed(pair.destination.check_destination(other, guest, None))
            assert set(found) == {"volumes"}
            assert "vda" in found["volumes"]

    def test_a_guest_on_a_volume_moves_and_nothing_is_copied(self, pair: Pair) -> None:
        spec = booted(pair, backed(pair))
        assert failed(pair.source.check_source(spec)) == {}
        pair.prepare(spec)
        assert all(disk.exists for disk in pair.destination.disks(spec))
        pair.begin(spec, "shared")
        pair.settle(lambda: pair.over(spec))
        assert pair.source.migration_error(spec.uuid) is None
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING
        job = pair.destination.job(spec.uuid)
        assert job is not None
        assert job.disk_total_bytes == 0

    def test_of_a_mixed_guest_the_local_disk_is_copied_and_removed_and_the_volume_is_neither(self, pair: Pair) -> None:
        spec = booted(pair, mixed(pair))
        guest = pair.prepare(spec)
        assert [disk.target for disk in guest.disks] == ["vda"]
        pair.begin(spec, "local")
        pair.settle(lambda: pair.over(spec))
        assert pair.source.migration_error(spec.uuid) is None
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING
        job = pair.destination.job(spec.uuid)
        assert job is not None
        assert job.disk_total_bytes <= guest.disks[0].virtual_bytes
        pair.source.remove_files(spec, POOLS)
        pair.destination.destroy(spec.uuid)
        pair.destination.undefine(spec.uuid)
        pair.destination.remove_files(spec, POOLS)
        found = pair.source.volumes([spec.volumes[0].source])
        assert found == pair.destination.volumes([spec.volumes[0].source])
        assert all(isinstance(size, int) for size in found.values())

    def test_the_memory_of_a_guest_on_a_volume_travels_from_its_home(self, pair: Pair) -> None:
        spec = booted(pair, backed(pair))
        pair.source.save_memory(spec)
        assert pair.source.domain(spec.uuid).state is DomainState.SAVED
        assert MEMORY in [disk.target for disk in pair.source.describe_guest(spec).disks]
        pair.fetch(spec, MEMORY)
        pair.settle(lambda: not pair.copying(spec))
        assert pair.destination.copy_error(spec.uuid) is None
        assert pair.sums(pair.destination, spec, MEMORY) == pair.sums(pair.source, spec, MEMORY)
        pair.source.withdraw(spec.uuid)
        pair.source.delete_saved_memory(spec.uuid)
        pair.destination.define(spec, MOVE, 2)
        assert pair.destination.domain(spec.uuid).state is DomainState.SAVED
        pair.destination.restore_memory(spec, MOVE, 2)
        assert pair.destination.domain(spec.uuid).state is DomainState.RUNNING
