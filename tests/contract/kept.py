"""What every driver promises about disks that are kept aside."""

import pytest

from migrator.errors import StorageError
from tests.contract.pair import GIB, MOVE, OPERATION, POOLS, Pair

RESTORING = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0003"


class KeptContract:
    def test_what_is_set_aside_is_in_nobodys_way_and_comes_back_by_a_word(self, pair: Pair) -> None:
        spec, driver = pair.spec("local"), pair.source
        driver.make_disks(spec, pair.images)
        grown = spec.disks[0].model_copy(update={"size_gb": driver.disks(spec)[0].virtual_bytes // GIB + 1})
        driver.grow_disks(spec.model_copy(update={"disks": (grown,)}))
        (first,) = driver.disks(spec)
        for _ in range(2):
            driver.set_aside(spec, OPERATION, POOLS)
        assert [disk.exists for disk in driver.disks(spec)] == [False]
        (kept,) = driver.kept_disks(spec.uuid)
        assert (kept.instance, kept.operation, kept.pool) == (spec.uuid, OPERATION, "local")
        assert kept.bytes > 0
        driver.make_disks(spec, pair.images)
        (anew,) = driver.disks(spec)
        assert anew.virtual_bytes < first.virtual_bytes

        larger = spec.model_copy(update={"disks": (grown,)})
        for _ in range(2):
            driver.restore_kept(larger, OPERATION, RESTORING)
        assert [disk.virtual_bytes for disk in driver.disks(spec)] == [first.virtual_bytes]
        assert [one.operation for one in driver.kept_disks(spec.uuid)] == [RESTORING]
        driver.unrestore_kept(larger, OPERATION, RESTORING)
        assert [disk.virtual_bytes for disk in driver.disks(spec)] == [anew.virtual_bytes]

        assert driver.drop_kept(spec.uuid, OPERATION) > 0
        assert driver.kept_disks(spec.uuid) == []
        assert driver.drop_kept(spec.uuid, OPERATION) == 0
        assert [disk.exists for disk in driver.disks(spec)] == [True]

    def test_a_pool_where_the_instance_lives_on_is_not_set_aside(self, pair: Pair) -> None:
        spec = pair.spec("shared")
        pair.source.make_disks(spec, pair.images)
        pair.source.set_aside(spec, MOVE, ("local",))
        identity = pair.source.host_report().storage["shared"].identity
        pair.source.set_aside(spec, MOVE, POOLS, [identity])
        assert [disk.exists for disk in pair.source.disks(spec)] == [True]
        assert pair.source.kept_disks(spec.uuid) == []

    def test_a_disk_that_is_missing_among_the_kept_ones_ends_their_return(self, pair: Pair) -> None:
        spec, driver = pair.spec("local"), pair.source
        driver.make_disks(spec, pair.images)
        driver.set_aside(spec, OPERATION, POOLS)
        second = spec.disks[0].model_copy(update={"target": "vdb", "image_id": None, "size_gb": 1})
        with pytest.raises(StorageError, match="missing"):
            driver.restore_kept(spec.model_copy(update={"disks": (*spec.disks, second)}), OPERATION, RESTORING)
        assert [one.operation for one in driver.kept_disks(spec.uuid)] == [OPERATION]
