"""What an agent looks at of volumes when nothing is moved: how often, how many at once, and what it says of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from migrator.compute.agent.survey import Surveyor
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.storage import qemu_img
from migrator.protocol import Questions, VolumeProbe

ONE, TWO = "nbd://10.0.0.250:10809/one", "nbd://10.0.0.250:10809/two"


class Counting(SimulatedHypervisor):
    def __init__(self, name: str, simulation: SimulatedCluster) -> None:
        super().__init__(name, simulation)
        self.asked: list[str] = []

    def volumes(self, sources: Sequence[str]) -> Mapping[str, int | str]:
        self.asked += sources
        return super().volumes(sources)


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.simulation = SimulatedCluster(lambda: self.now)
        self.simulation.add_host("n0")
        self.driver = Counting("n0", self.simulation)
        self.surveyor = Surveyor(self.driver, clock=lambda: self.now)

    def look(self, *sources: str) -> Mapping[str, VolumeProbe]:
        return self.surveyor.survey(Questions(now=5, next_survey_s=5, volumes=sources), 0.0, 0.0).volumes

    def asked(self) -> list[str]:
        asked, self.driver.asked = self.driver.asked, []
        return asked


@pytest.fixture
def world() -> World:
    return World()


def test_each_is_told_with_its_size_or_why_it_is_out_of_reach(world: World) -> None:
    world.simulation.unreachable.add(("n0", TWO))
    found = world.look(ONE, TWO)
    assert found[ONE].bytes
    assert (found[TWO].bytes, "refused" in found[TWO].message) == (None, True)


def test_one_that_was_reached_is_looked_at_again_after_a_while_and_one_that_was_not_at_once(world: World) -> None:
    world.simulation.unreachable.add(("n0", TWO))
    world.look(ONE, TWO)
    assert sorted(world.asked()) == [ONE, TWO]
    world.now += 5
    assert world.look(ONE, TWO)[ONE].age_s == 5
    assert world.asked() == [TWO]
    world.now += 55
    world.look(ONE, TWO)
    assert sorted(world.asked()) == [ONE, TWO]


def test_one_that_no_instance_has_any_more_is_forgotten(world: World) -> None:
    world.look(ONE, TWO)
    assert set(world.look(ONE)) == {ONE}
    assert world.look() == {}


def test_many_take_several_rounds_and_none_waits_for_ever(world: World) -> None:
    sources = [f"nbd://10.0.0.250:10809/{number}" for number in range(20)]
    for _ in range(3):
        assert len(world.look(*sources)) > 0
        assert len(world.asked()) <= 8
        world.now += 5
    assert set(world.look(*sources)) == set(sources)


def test_what_a_guest_wrote_to_its_volume_is_never_taken_for_the_header_of_an_image(tmp_path: Path) -> None:
    """Guessed, its format would be the guest's to choose, and with it the files that are opened beside it."""
    volume = tmp_path / "volume"
    qemu_img.create(volume, "qcow2", 1 << 30)
    assert qemu_img.volume_bytes(str(volume)) < 1 << 20
