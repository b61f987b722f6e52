"""The plan: ways, reasons, order, deadline; every instance is in it once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.scheduler.fleet.plan.model import Budgets, Group, Option, PlanRequest, Way
from migrator.scheduler.fleet.plan.planner import plan
from tests.unit.scheduler.fleet.clusters import guest, of, offer

LIVE_OR_COLD = (Way.LIVE, Way.COLD)


def test_an_instance_goes_live_to_the_roomiest_host() -> None:
    move = of(plan(PlanRequest([offer("n2", 4), offer("n3", 8)], [guest("vm")])), "vm")
    assert (move.way, move.destination, move.duration_s, move.downtime_s) == (Way.LIVE, "n3", 10.0, 0.5)


def test_cold_is_taken_where_live_is_closed_and_the_plan_says_why() -> None:
    one = guest("vm", ways=LIVE_OR_COLD)
    options = [Option(Way.LIVE, closed="devices: it has a pass-through device"), *one.options[1:]]
    move = of(plan(PlanRequest([offer("n2", 4)], [type(one)("vm", "vm", "n1", one.needs, options)])), "vm")
    assert (move.way, move.destination) == (Way.COLD, "n2")
    assert move.why == "live: devices: it has a pass-through device"


@pytest.mark.parametrize("way", [Way.STOP, Way.LEAVE])
def test_what_finds_no_host_is_stopped_or_left_where_that_is_allowed(way: Way) -> None:
    move = of(plan(PlanRequest([offer("n2", 1)], [guest("vm", 2, ways=(Way.LIVE, way))])), "vm")
    assert (move.way, move.destination) == (way, None)
    assert move.why == f"{way} is allowed; live: 2048 MiB of memory needed (1 host)"


def test_what_cannot_even_be_stopped_cannot_go() -> None:
    one = guest("vm", 2)
    options = [*one.options, Option(Way.STOP, closed="it is in error")]
    move = of(plan(PlanRequest([offer("n2", 1)], [replace(one, options=options)])), "vm")
    assert (move.way, move.destination) == (None, None)


def test_what_cannot_go_is_named_with_what_would_have_to_change() -> None:
    move = of(plan(PlanRequest([offer("n2", 1), offer("n3", 3)], [guest("vm", 4)])), "vm")
    assert (move.way, move.destination) == (None, None)
    assert move.why == "live: 4096 MiB of memory needed (2 hosts)"
    assert move.remedy == "make room on n3: 4096 MiB of memory needed"


def test_what_all_hosts_refuse_says_how_many_for_which_reason() -> None:
    refused = {"n2": "storage: it has no pool named fast", "n3": "storage: it has no pool named fast"}
    move = of(plan(PlanRequest([offer("n2", 9), offer("n3", 9)], [guest("vm", refusals=refused)])), "vm")
    assert move.why == "live: storage: it has no pool named fast (2 hosts)"
    assert move.remedy == "allow cold or stop, or mend what the hosts' checks say"


def test_the_last_host_has_nowhere_to_send_anything() -> None:
    move = of(plan(PlanRequest([], [guest("vm", ways=(Way.LIVE, Way.COLD, Way.STOP)[:2])])), "vm")
    assert move.why == "live: there is no other host; cold: there is no other host"


def test_a_hard_group_is_kept_apart_and_a_soft_one_where_it_can_be() -> None:
    hosts = [offer("n2", 9), offer("n3", 8)]
    hard, soft = Group("h", "h", 1), Group("s", "s", 1, soft=True)
    kept = plan(PlanRequest(hosts, [guest(f"vm{n}", group=hard) for n in range(3)]))
    assert sorted(str(move.destination) for move in kept.moves) == ["None", "n2", "n3"]
    spread = plan(PlanRequest(hosts, [guest(f"vm{n}", group=soft) for n in range(3)]))
    assert sorted(str(move.destination) for move in spread.moves) == ["n2", "n2", "n3"]


def test_the_most_important_goes_first_and_then_what_finishes_soonest() -> None:
    guests = [guest("slow", duration_s=30), guest("quick", duration_s=5), guest("vip", duration_s=60, priority=1)]
    found = plan(PlanRequest([offer("n2", 9)], guests, Budgets(per_source=1)))
    assert [(m.guest.name, m.begin_s, m.end_s) for m in found.moves] == [
        ("vip", 0.0, 60.0),
        ("quick", 60.0, 65.0),
        ("slow", 65.0, 95.0),
    ]
    assert (found.total_s, found.longest_s) == (95.0, 190.0)


def test_what_ends_after_the_deadline_is_named() -> None:
    guests = [guest("a"), guest("b")]
    found = plan(PlanRequest([offer("n2", 9)], guests, Budgets(per_source=1), deadline_s=15.0))
    assert found.late == ["b"]


def test_two_members_of_a_group_are_never_moved_together() -> None:
    group = Group("g", "g", 1)
    found = plan(PlanRequest([offer("n2", 9), offer("n3", 9)], [guest("a", group=group), guest("b", group=group)]))
    assert sorted((m.begin_s, m.end_s) for m in found.moves) == [(0.0, 10.0), (10.0, 20.0)]


@given(
    st.lists(st.tuples(st.sampled_from(["n1", "n2"]), st.integers(1, 9), st.integers(0, 2)), max_size=12),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 3),
)
def test_no_budget_is_exceeded_at_any_moment_of_the_timetable(
    rows: list[tuple[str, int, int]], per_source: int, per_destination: int, fleet: int
) -> None:
    guests = [guest(f"vm{i}", source=s, duration_s=d, priority=p) for i, (s, d, p) in enumerate(rows)]
    found = plan(PlanRequest([offer("n3", 40)], guests, Budgets(per_source, per_destination, fleet)))
    assert sorted(m.guest.name for m in found.moves) == sorted(g.name for g in guests)
    for move in found.moves:
        together = [m for m in found.moves if m.begin_s <= move.begin_s < m.end_s]
        assert len(together) <= min(fleet or 99, per_destination or 99)
        assert len([m for m in together if m.guest.source == move.guest.source]) <= (per_source or 99)
