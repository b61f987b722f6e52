"""What every driver promises about files that nothing uses."""

from tests.contract.pair import OPERATION, POOLS, Pair

KIND = "disks"


class LeftoversContract:
    def test_an_instances_directory_without_its_domain_is_told_and_stays(self, pair: Pair) -> None:
        spec, driver = pair.spec("local"), pair.source

        def told() -> list[tuple[str, str]]:
            assert all(one.kind != KIND for one in driver.tidy())
            found = [one for one in driver.leftovers() if one.instance == spec.uuid]
            return [(one.kind, one.pool) for one in found]

        assert told() == []
        driver.make_disks(spec, pair.images)
        assert told() == [(KIND, "local")]
        assert [disk.exists for disk in driver.disks(spec)] == [True]
        driver.define(spec, OPERATION, 1)
        assert told() == []
        driver.undefine(spec.uuid)
        driver.remove_files(spec, POOLS)
        assert (KIND, "local") not in told()
