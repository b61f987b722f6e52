"""Plans for balance: what they never do, whatever the fleet, and what they do in the plain cases."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.scheduler.fleet.balance.fleet import Fleet, cost_s
from migrator.scheduler.fleet.balance.model import (
    BalancePlan,
    BalanceRequest,
    GuestLoad,
    HostLoad,
    Limits,
    Objective,
    Use,
)
from migrator.scheduler.fleet.balance.planner import plan
from migrator.scheduler.fleet.balance.spread import bounds
from migrator.scheduler.fleet.plan.model import Group, Room

CPUS, MEMORY_MB = 32, 65_536
NO_LIMIT = Limits(moves=10_000)
FREE = Room(64, 40_000, 1000)


def host(name: str, used: Use = Use(), room: Room = FREE, instances: int = 0, closed: str = "") -> HostLoad:  # noqa: B008
    return HostLoad(name, Use(CPUS, MEMORY_MB), room, used, instances, closed)


def guest(name: str, where: str, cpus: float, memory_mb: float = 1024, **more: Any) -> GuestLoad:
    use = Use(cpus, memory_mb)
    made = GuestLoad(name, name, where, Room(2, int(memory_mb), 10), use, use, 20.0, 0.5, memory_mb)
    return replace(made, **more)


def asked(hosts: list[HostLoad], guests: list[GuestLoad], objective: Objective, limits: Limits) -> BalanceRequest:
    """With what the guests use in the hosts' use."""
    full = []
    for one in hosts:
        here = [each for each in guests if each.host == one.name]
        used = Use(
            one.used.cpus + sum(g.mean.cpus for g in here), one.used.memory_mb + sum(g.mean.memory_mb for g in here)
        )
        full.append(replace(one, used=used, instances=one.instances + len(here)))
    return BalanceRequest(objective, full, guests, limits)


def drawn(seed: int, objective: Objective) -> BalanceRequest:
    """A fleet at random: hosts with work of their own, groups, refusals, guests that stay."""
    draw = Random(seed)
    names = [f"n{number}" for number in range(draw.randint(2, 9))]
    groups = [Group(f"g{number}", f"g{number}", draw.randint(1, 2), draw.random() < 0.3) for number in range(3)]
    hosts = [
        host(name, Use(draw.uniform(0, 4), 2000), Room(draw.randint(0, 40), draw.randint(0, 20_000), 100), 0, closed)
        for name in names
        for closed in ["it is down" if draw.random() < 0.1 else ""]
    ]
    guests = []
    for number in range(draw.randint(0, 40)):
        mean, memory = draw.uniform(0, 5), draw.uniform(500, 8000)
        refusals = {name: "cpu: other" for name in names if draw.random() < 0.2}
        made = guest(f"i{number}", draw.choice(names), mean, memory, refusals=refusals)
        peak = Use(mean * draw.uniform(1, 3), memory * draw.uniform(1, 1.3))
        group = draw.choice(groups) if draw.random() < 0.3 else None
        closed = "it is paused" if draw.random() < 0.1 else ""
        guests.append(replace(made, peak=peak, group=group, closed=closed, doubt=1.0))
    return asked(hosts, guests, objective, NO_LIMIT)


def applied(request: BalanceRequest, found: BalancePlan) -> BalanceRequest:
    """The fleet when every proposal was carried out."""
    where = {one.guest.uuid: one.destination.host for one in found.proposals}
    guests = [replace(one, host=where.get(one.uuid, one.host)) for one in request.guests]
    hosts = {one.name: one for one in request.hosts}
    for before, after in zip(request.guests, guests, strict=True):
        for name, sign in ((before.host, 1), (after.host, -1)):
            needs, room = before.needs, hosts[name].room
            room = Room(
                room.vcpus + sign * needs.vcpus,
                room.memory_mb + sign * needs.memory_mb,
                room.disk_gb + sign * needs.disk_gb,
            )
            used = hosts[name].used.plus(before.mean, -sign)
            hosts[name] = replace(hosts[name], room=room, used=used, instances=hosts[name].instances - sign)
    return replace(request, hosts=list(hosts.values()), guests=guests)


@pytest.mark.parametrize("objective", list(Objective))
@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_a_plan_breaks_no_claim_check_or_group_and_leaves_nothing_to_propose(objective: Objective, seed: int) -> None:
    request = drawn(seed, objective)
    found = plan(request)
    after = applied(request, found)
    shut = {one.name for one in request.hosts if one.closed}
    for one in found.proposals:
        assert not one.guest.closed
        assert one.destination.host not in {*one.guest.refusals, *shut, one.guest.host}
        assert one.guest.host not in shut
        assert one.gain_s > one.cost_s or objective is Objective.PACK
    assert len({one.guest.uuid for one in found.proposals}) == len(found.proposals)
    for before, now in zip(request.hosts, after.hosts, strict=True):
        for name in ("vcpus", "memory_mb", "disk_gb"):
            assert getattr(now.room, name) >= min(0, getattr(before.room, name)) - 1e-6
    _keeps_groups(request, after)
    assert plan(after).proposals == []


def _keeps_groups(request: BalanceRequest, after: BalanceRequest) -> None:
    """No hard group has more members on a host than it allows, unless they were there before."""
    groups = {one.group.uuid: one.group for one in request.guests if one.group is not None and not one.group.soft}
    for group in groups.values():
        for where in request.hosts:
            counts = [
                len(
                    [
                        g
                        for g in state.guests
                        if g.group is not None and g.group.uuid == group.uuid and g.host == where.name
                    ]
                )
                for state in (request, after)
            ]
            assert counts[1] <= max(counts[0], group.most)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_spreading_makes_no_host_hot_and_the_worst_host_no_worse(seed: int) -> None:
    request = drawn(seed, Objective.SPREAD)
    fleet, found = Fleet(request), plan(request)
    limit = bounds(fleet)
    for change in found.hosts:
        assert change.after.cpus <= max(change.before.cpus, limit.open.cpus) + 1e-9
        assert change.after.memory_mb <= max(change.before.memory_mb, limit.open.memory_mb) + 1e-9
    for part in ("cpus", "memory_mb"):
        hot = getattr(limit.hot, part)
        worst = [
            max((getattr(c, when) and getattr(getattr(c, when), part) for c in found.hosts), default=0.0)
            for when in ("before", "after")
        ]
        assert worst[1] <= max(worst[0], hot) + 1e-9


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_packing_fills_no_host_further_than_it_may(seed: int) -> None:
    request = drawn(seed, Objective.PACK)
    after = Fleet(applied(request, plan(request)))
    emptied = set(plan(request).emptied)
    assert not emptied & {one.destination.host for one in plan(request).proposals}
    before = Fleet(request)
    for name in after.hosts:
        if len(after.on[name]) > len(before.on[name]):
            peaks = [after.request.guests[one] for one in after.on[name]]
            more = Use(
                sum(one.peak.cpus - one.expected.cpus for one in peaks),
                sum(one.peak.memory_mb - one.expected.memory_mb for one in peaks),
            )
            assert max(after.share(name, more).cpus, after.share(name, more).memory_mb) <= NO_LIMIT.fill + 1e-9
    assert emptied == {name for name in after.hosts if before.on[name] and not after.on[name]}


def test_a_balanced_fleet_is_left_alone() -> None:
    hosts = [host(f"n{number}") for number in range(4)]
    guests = [guest(f"i{number}", f"n{number % 4}", 3.0) for number in range(32)]
    assert plan(asked(hosts, guests, Objective.SPREAD, Limits())).proposals == []


def test_a_hot_host_sends_what_it_takes_to_cool_it_to_the_host_with_most_to_spare() -> None:
    guests = [guest(f"i{number}", "n1", 4.0) for number in range(8)]
    request = asked([host("n1"), host("n2", Use(8, 0)), host("n3")], guests, Objective.SPREAD, Limits())
    found = plan(request)
    assert [one.destination.host for one in found.proposals] == ["n3", "n3"]
    first = found.proposals[0]
    assert (first.source.before.cpus, first.source.after.cpus) == (32 / 32, 28 / 32)
    assert first.gain_s > first.cost_s > 0
    assert "n1 is above 75%" in first.why
    assert {change.host: change.after.cpus for change in found.hosts} == {"n1": 24 / 32, "n2": 8 / 32, "n3": 8 / 32}


def test_a_gain_that_does_not_outlast_its_cost_is_not_proposed() -> None:
    guests = [guest(f"i{number}", "n1", 4.0) for number in range(7)]
    request = asked([host("n1"), host("n2")], guests, Objective.SPREAD, Limits())
    dear = cost_s(guests[0]) / 4.0  # seconds after which a move has paid for itself
    assert plan(replace(request, limits=Limits(horizon_s=guests[0].duration_s + dear * 3))).proposals
    short = plan(replace(request, limits=Limits(horizon_s=guests[0].duration_s + dear * 0.9)))
    assert short.proposals == []
    assert "gains more than it costs" in short.left["n1"]


def test_a_plan_has_no_more_moves_than_it_may() -> None:
    guests = [guest(f"i{number}", "n1", 1.0) for number in range(30)]
    request = asked([host("n1"), host("n2")], guests, Objective.SPREAD, Limits(moves=2))
    assert len(plan(request).proposals) == 2


def test_a_hot_host_that_nothing_helps_says_why() -> None:
    guests = [guest(f"i{number}", "n1", 4.0, refusals={"n2": "cpu: lacks avx2"}) for number in range(7)]
    found = plan(asked([host("n1"), host("n2")], guests, Objective.SPREAD, Limits()))
    assert found.proposals == []
    assert found.left == {"n1": "no host takes a guest of it: cpu: lacks avx2"}


def test_packing_empties_the_host_with_fewest_guests() -> None:
    guests = [guest("a", "n1", 1.0), *(guest(f"b{number}", "n2", 1.0) for number in range(3)), guest("c", "n3", 1.0)]
    found = plan(asked([host("n1"), host("n2"), host("n3"), host("n4")], guests, Objective.PACK, Limits()))
    assert found.emptied == ["n1", "n3"]
    assert {one.guest.name: one.destination.host for one in found.proposals} == {"a": "n2", "c": "n2"}


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"closed": "it is paused"}, "a stays: it is paused"),
        ({"refusals": {"n2": "cpu: other"}}, "a finds no place"),
        ({"duration_s": 1e6}, "its moves cost more than it saves"),
    ],
)
def test_a_host_that_cannot_be_emptied_says_why(spoil: dict[str, Any], why: str) -> None:
    guests = [
        guest("a", "n1", 1.0, **spoil),
        *(guest(f"b{number}", "n2", 1.0, refusals={"n1": "x"}) for number in range(2)),
    ]
    found = plan(asked([host("n1"), host("n2")], guests, Objective.PACK, Limits()))
    assert (found.emptied, found.left["n1"]) == ([], why)


def test_an_instance_of_which_nothing_is_measured_keeps_its_host_from_being_emptied() -> None:
    request = asked(
        [host("n1", instances=1), host("n2")], [guest("a", "n1", 1), guest("b", "n2", 1)], Objective.PACK, Limits()
    )
    found = plan(request)
    assert "n1" not in found.emptied
    assert found.emptied == ["n2"]
