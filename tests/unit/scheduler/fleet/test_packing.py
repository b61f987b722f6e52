"""The packing leaves no instance over that any combination would have placed: held against brute force."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.scheduler.fleet.plan import packing
from migrator.scheduler.fleet.plan.model import Group, Guest, HostOffer, PlanRequest
from migrator.scheduler.fleet.plan.packing import Placement, pack
from tests.unit.scheduler.fleet.clusters import guest, offer

HOSTS = ("n2", "n3", "n4")


@st.composite
def requests(draw: st.DrawFn) -> PlanRequest:
    hosts = [offer(name, draw(st.integers(0, 8)), vcpus=draw(st.integers(1, 5))) for name in HOSTS]
    others = draw(st.dictionaries(st.sampled_from(HOSTS), st.integers(1, 2), max_size=2))
    group = Group("g", "g", draw(st.integers(1, 2)), draw(st.booleans()), others)
    guests = [
        guest(
            f"vm{number}",
            draw(st.integers(1, 5)),
            refusals=dict.fromkeys(draw(st.sets(st.sampled_from(HOSTS), max_size=2)), "storage"),
            group=draw(st.sampled_from([None, group])),
            priority=draw(st.integers(0, 1)),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    return PlanRequest(hosts, guests)


@settings(max_examples=300, deadline=None)
@given(requests())
def test_packing_places_as_many_as_the_best_of_all_combinations(request: PlanRequest) -> None:
    placed = pack(request)
    assert locks_instance(request, {index: host for index, (_, host) in placed.items()})
    assert len(placed) == brute_force(request)


@settings(max_examples=100, deadline=None)
@given(requests())
def test_packing_answers_the_same_to_the_same_question(request: PlanRequest) -> None:
    assert hosts_of(pack(request)) == hosts_of(pack(request))


def test_one_that_was_placed_makes_room_for_one_with_fewer_hosts_to_go_to() -> None:
    only_n2 = {"n3": "no pool"}
    guests = [guest("wide", 4, priority=1), guest("narrow", 4, refusals=only_n2)]
    placed = pack(PlanRequest([offer("n2", 5), offer("n3", 4)], guests))
    assert hosts_of(placed) == {0: "n3", 1: "n2"}


def test_one_that_is_larger_than_every_host_has_no_combination_searched_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_chain", None)
    monkeypatch.setattr(packing, "_Search", None)
    placed = pack(PlanRequest([offer("n2", 5), offer("n3", 4)], [guest("huge", 6), guest("small", 4)]))
    assert hosts_of(placed) == {1: "n2"}


@pytest.mark.parametrize(
    "host", [offer("n2", 1), offer("n2", 9, vcpus=1), offer("n2", 9, disk_gb=19)], ids=["memory", "vcpus", "disk"]
)
def test_a_host_is_given_no_more_than_it_has_room_for(host: HostOffer) -> None:
    assert hosts_of(pack(PlanRequest([host], [guest("a"), guest("b")]))) == {0: "n2"}


def test_nothing_is_placed_where_it_is() -> None:
    assert pack(PlanRequest([offer("n1", 9), offer("n2", 1)], [guest("vm", 2)])) == {}


def test_where_no_combination_is_searched_the_most_important_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_SEARCHED", 0)
    assert hosts_of(pack(PlanRequest([offer("n2", 4)], [guest("a", 4), guest("b", 4, priority=1)]))) == {1: "n2"}


def hosts_of(placed: Placement) -> dict[int, str]:
    return {index: host for index, (_, host) in sorted(placed.items())}


def brute_force(request: PlanRequest) -> int:
    choices = [(None, *HOSTS)] * len(request.guests)
    found = [{i: h for i, h in enumerate(one) if h is not None} for one in product(*choices)]
    return max(len(one) for one in found if locks_instance(request, one))


def locks_instance(request: PlanRequest, placed: dict[int, str]) -> bool:
    """Whether capacity, refusals and groups admit the placement."""
    return all(_room(request, host, placed) for host in request.hosts) and all(
        host not in request.guests[index].options[0].refusals for index, host in placed.items()
    )


def _room(request: PlanRequest, host: HostOffer, placed: dict[int, str]) -> bool:
    here = [request.guests[index] for index, name in placed.items() if name == host.name]
    return (
        sum(g.needs.memory_mb for g in here) <= host.room.memory_mb
        and sum(g.needs.vcpus for g in here) <= host.room.vcpus
        and sum(g.needs.disk_gb for g in here) <= host.room.disk_gb
        and _apart(here, host.name)
    )


def _apart(here: list[Guest], host: str) -> bool:
    hard = [g.group for g in here if g.group is not None and not g.group.soft]
    counted = Counter(group.uuid for group in hard)
    return all(counted[g.uuid] + g.others.get(host, 0) <= g.most for g in hard)
