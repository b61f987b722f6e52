"""What every driver promises of the disks of a running guest that are never written to. See ``suite.py``."""

import pytest

from migrator.errors import DriverError, StorageError
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

    def test_an_image_that_disks_lie_over_is_read_at_the_source_as_it_was(self, pair: Pair) -> None:
        """Of a running guest, as of one that is shut off; what is written to the disk over it changes nothing of it."""
        spec = boot_with_drive(pair)
        base = next(disk.image_id for disk in spec.disks if disk.image_id)
        uri = pair.source.host_report().live_migration_uri
        places = pair.source.lend(spec, ["sda"], [base, "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f00ff"])
        assert places.keys() == {"sda", base}
        assert pair.source.lend(spec, ["sda"], [base]) == places
        with pair.destination.lent_file(uri, places[base]) as pieces:
            assert b"".join(pieces) == pair.content(base)
        pair.source.withdraw(spec.uuid)
        with pytest.raises(DriverError), pair.destination.lent_file(uri, places[base]) as pieces:
            list(pieces)
        pair.source.destroy(spec.uuid)
        pair.source.offer(spec, ["vda"])
        places = pair.source.lend(spec, (), [base])
        pair.source.offer(spec, ["vda"])
        with pair.destination.lent_file(uri, places[base]) as pieces:
            assert b"".join(pieces) == pair.content(base)
        assert pair.sums(pair.source, spec, "vda")
        pair.source.withdraw(spec.uuid)

    def test_a_config_drive_that_did_not_come_is_not_made_by_a_live_migration(self, pair: Pair) -> None:
        spec = boot_with_drive(pair)
        with pytest.raises(StorageError):
            pair.prepare(spec)
        assert [disk.exists for disk in pair.destination.disks(spec)][1] is False
