"""What every driver promises of shared storage and of its machine. See ``suite.py``."""

from uuid import UUID, uuid4

import pytest

from migrator.errors import StorageError
from tests.contract.pair import POOLS, Pair


class ProvingContract:
    def test_what_one_host_writes_into_a_shared_pool_the_other_one_finds_and_only_there(self, pair: Pair) -> None:
        storage = {name: pool.identity for name, pool in pair.source.host_report().storage.items() if name in POOLS}
        proofs = pair.source.prove(POOLS)
        assert proofs.keys() == set(POOLS)
        assert pair.destination.compare_storage(storage, proofs) == (frozenset({"shared"}), frozenset())
        assert pair.source.compare_storage(storage, proofs) == (frozenset(POOLS), frozenset())

    def test_a_pool_with_the_same_marker_is_another_one_until_what_was_written_is_found(self, pair: Pair) -> None:
        identity = {"shared": pair.source.host_report().storage["shared"].identity}
        known = pair.source.prove(["shared"])["shared"]
        missing = f"{known.rpartition('/')[0]}/{uuid4()}"
        for proofs in ({}, {"shared": ""}, {"shared": missing}):
            assert pair.destination.compare_storage(identity, proofs) == (frozenset(), frozenset({"shared"}))

    def test_each_proof_is_new_and_the_older_ones_are_found_still(self, pair: Pair) -> None:
        identity = {"shared": pair.source.host_report().storage["shared"].identity}
        written = [pair.source.prove(["shared"]) for _ in range(3)]
        assert len({proof["shared"] for proof in written}) == 3
        for proofs in written:
            assert pair.destination.compare_storage(identity, proofs)[0] == {"shared"}

    def test_the_report_has_a_proof_of_each_pool_that_the_other_host_finds(self, pair: Pair) -> None:
        storage = pair.source.host_report().storage
        identities, proofs = ({n: getattr(p, key) for n, p in storage.items()} for key in ("identity", "proof"))
        assert pair.destination.compare_storage(identities, proofs)[0] == {"shared"}

    def test_a_pool_that_is_not_there_is_not_proven(self, pair: Pair) -> None:
        with pytest.raises(StorageError):
            pair.source.prove(["nowhere"])
        assert pair.destination.compare_storage({"nowhere": "x"}, {"nowhere": "x"}) == (frozenset(), frozenset())

    def test_a_machine_has_one_id_and_no_other_machine_has_it(self, pair: Pair) -> None:
        ids = [driver.machine() for driver in (pair.source, pair.destination, pair.source)]
        assert all(str(UUID(one)) == one for one in ids)
        assert ids[0] == ids[2] != ids[1]
