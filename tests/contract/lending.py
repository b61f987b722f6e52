"""What every driver promises of the disks of a running guest that nobody writes to. See ``suite.py``."""

import pytest

from migrator.errors import StorageError
from migrator.protocol import MEMORY, DiskSpec, DomainState, InstanceSpec
from tests.contract.pair import OPERATION, Pair

DRIVE = DiskSpec(target="sda", pool="local", size_gb=0, format="raw", config_drive=True)


def boot_with_drive(pair: Pair) -> InstanceSpec:
    spec = pair.spec("local")
    spec = spec.model_copy(update={"disks": (*spec.disks, DRIVE)})
    pair.source.make_disks(spec, pair.images, "s3cret")
    pair.source.define_and_start(spec, OPERATION, 1)
    pair.settle(lambda: pair.source.domain(spec.uuid).state is DomainState.RUNNING)
    return spec


class LendingContract:
    def test_the_config_drive_of_a_running_guest_is_copied_as_it_is(self, pair: Pair) -> None:
        spec = boot_with_drive(pair)
        pair.borrow(spec, "sda")
        assert pair.destination.copy_error(spec.uuid) is None
        there = pair.sums(pair.source, spec, "sda")
        assert pair.sums(pair.destination, spec, "sda") == there
        pair.prepare(spec)
        assert [disk.exists for disk in pair.destination.disks(spec)] == [True, True]
        assert pair.sums(pair.destination, spec, "sda") == there
        for _ in range(2):
            pair.source.withdraw(spec.uuid)
        assert pair.sums(pair.source, spec, "sda") == there
        assert pair.source.domain(spec.uuid).state is DomainState.RUNNING

    def test_what_is_taken_back_is_not_read_any_more(self, pair: Pair) -> None:
        spec = boot_with_drive(pair)
        places = [pair.source.lend(spec, ["sda"]) for _ in range(2)]
        assert places[0] == places[1]
        assert places[0].keys() == {"sda"}
        pair.source.withdraw(spec.uuid)
        pair.read_lent(spec, places[0])
        assert pair.destination.copy_error(spec.uuid) is not None
        assert [disk.exists for disk in pair.destination.disks(spec)] == [False, False]

    def test_nothing_that_a_guest_writes_to_is_lent(self, pair: Pair) -> None:
        spec = boot_with_drive(pair)
        for target in ("vda", MEMORY, "sdb"):
            with pytest.raises(StorageError):
                pair.source.lend(spec, ["sda", target])

    def test_a_config_drive_that_did_not_come_is_not_made_by_a_live_migration(self, pair: Pair) -> None:
        spec = boot_with_drive(pair)
        with pytest.raises(StorageError):
            pair.prepare(spec)
        assert [disk.exists for disk in pair.destination.disks(spec)][1] is False
