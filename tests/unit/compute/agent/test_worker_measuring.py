"""How an agent measures a guest before its transfer, and switches to post-copy; what a link is made for."""

from typing import Any

import pytest

from migrator.compute.migration_parameters import steering
from migrator.compute.network import link_speed
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.compute.simulated.state import MIB, Behaviour
from migrator.errors import DriverError, HypervisorUnavailable, SettingInvalid
from migrator.protocol import Ensure, Fact, JobFact, MeasuredInputs, Measurement, MigratingInputs
from migrator.settings import ServerSettings, load
from tests.unit.compute.agent.two_hosts import MOVE, SPEC, World


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    world.simulation.behaviours[SPEC.uuid] = Behaviour(dirty_bytes_per_s=12 * MIB)
    return world


def measure(world: World) -> Fact:
    return world.act("a", Ensure.MEASURED, MeasuredInputs(destination_address="b"), operation_id=MOVE)


MEASURED = Measurement(dirty_mib_s=12, memory_mib=512, link_mib_s=100)


def test_it_takes_a_second_and_is_done_once(world: World) -> None:
    assert measure(world).measurement is None
    world.clock.now += 0.5
    assert measure(world).measurement is None
    world.clock.now += 0.5
    assert measure(world).measurement == MEASURED
    assert measure(world).measurement == MEASURED
    assert world.calls.count("a.start_measuring") == 1


def test_a_restarted_agent_measures_again(world: World) -> None:
    measure(world)
    world.clock.now += 0.5
    world.restart("a")
    assert measure(world).measurement is None
    world.clock.now += 1
    assert measure(world).measurement == MEASURED


def test_what_cannot_be_measured_is_an_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise DriverError("not supported")

    monkeypatch.setattr(SimulatedHypervisor, "start_measuring", refuse)
    fact = measure(world)
    assert (fact.measurement, fact.problem) == (Measurement(message="not supported"), None)


@pytest.mark.parametrize("address", ["10.0.0.2/x", "-oProxyCommand=x", "a b", "10.0.0.2\n"])
def test_an_address_that_is_none_is_an_answer_and_nothing_is_measured(world: World, address: str) -> None:
    inputs = MeasuredInputs(destination_address=address)
    fact = world.act("a", Ensure.MEASURED, inputs, operation_id=MOVE)
    assert fact.measurement is not None
    assert "is no address" in fact.measurement.message
    assert "a.start_measuring" not in world.calls


def test_what_is_never_counted_is_an_answer_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedHypervisor, "measurement", lambda *_: None)
    assert measure(world).measurement is None
    world.clock.now += 5.1
    assert measure(world).measurement == Measurement(message="not counted within 5 s")


def test_a_hypervisor_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise HypervisorUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedHypervisor, "measurement", away)
        fact = measure(world)
        assert (fact.measurement, fact.problem is not None and fact.problem.final) == (None, False)
    measure(world)
    world.clock.now += 1
    assert measure(world).measurement == MEASURED


@pytest.mark.parametrize(
    ("iterations", "after", "post_copy", "expected"),
    [(None, 1, True, False), (1, 1, True, False), (2, 1, True, True), (2, 0, True, False), (2, 1, False, False)],
)
def test_post_copy_after_so_many_passes(iterations: int | None, after: int, post_copy: bool, expected: bool) -> None:
    inputs = MigratingInputs(
        destination_host="b", destination_address="b", uri="u", post_copy=post_copy, post_copy_after=after
    )
    assert steering(inputs, JobFact(active=True, iterations=iterations)).force is expected


ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth1	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
br0	004D4D0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


@pytest.mark.parametrize(("address", "expected"), [("10.77.77.5", "br0"), ("10.1.2.3", "eth1"), ("192.0.2.7", "eth0")])
def test_the_narrowest_route(address: str, expected: str) -> None:
    assert link_speed.towards(ROUTES, address) == expected


def test_a_name_has_no_known_speed() -> None:
    assert link_speed.link_mib_s("n2.example") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"live_migration_strategy": "post-copy"}, "needs live_migration_permit_post_copy = true"),
        ({"live_migration_strategy": "auto-converge"}, "needs live_migration_permit_auto_converge = true"),
        (
            {"live_migration_parallel_connections": 2, "live_migration_permit_post_copy": True},
            "excludes live_migration_permit_post_copy",
        ),
        (
            {"live_migration_parallel_connections": 2, "live_migration_compression": "mt"},
            "excludes live_migration_compression = mt",
        ),
    ],
)
def test_contradictions_stop_the_start(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingInvalid, match=message):
        load(ServerSettings, **settings)


def test_little_memory_is_counted_more_than_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 15, 10])
    found = MEASURED.model_copy(update={"memory_mib": 128, "sample_resolution_mib_s": 3.0})

    def counted(*_: Any) -> Measurement:
        return found.model_copy(update={"dirty_mib_s": next(counts)})

    monkeypatch.setattr(SimulatedHypervisor, "measurement", counted)
    assert [measure(world).measurement for _ in range(2)] == [None, None]
    assert measure(world).measurement == found.model_copy(update={"dirty_mib_s": 10, "sample_resolution_mib_s": 1.0})
    assert world.calls.count("a.start_measuring") == 3
