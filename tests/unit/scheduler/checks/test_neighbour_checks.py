"""Server groups and hints beside instances that move: every host of one counts, and what stays is refused nowhere."""

from dataclasses import replace

import pytest

from migrator.scheduler.checks.filters import refusals
from migrator.scheduler.checks.neighbour_checks import refusal
from migrator.scheduler.checks.neighbours import AFFINITY, ANTI_AFFINITY, Neighbours, ServerGroup
from tests.unit.scheduler.checks.test_filters import NEED, candidate

ON_B, LEAVES_B = {"x": frozenset({"b"})}, {"x": frozenset({"b", "c"})}
REFUSED = [
    (Neighbours(ServerGroup("g", AFFINITY, members=ON_B)), None),
    (Neighbours(ServerGroup("g", AFFINITY, members=LEAVES_B)), "server group g (affinity): x on b, c"),
    (Neighbours(ServerGroup("g", ANTI_AFFINITY, members=LEAVES_B)), "server group g (anti-affinity): x is there"),
    (Neighbours(ServerGroup("g", ANTI_AFFINITY, 2, ON_B)), None),
    (Neighbours(same_host=ON_B), None),
    (Neighbours(same_host=LEAVES_B), "it has to be on the host of one of: x on b, c"),
    (Neighbours(different_host=LEAVES_B), "it has to be kept apart from x"),
    (Neighbours(different_host={"x": frozenset({"c"})}), None),
]


@pytest.mark.parametrize(("neighbours", "message"), REFUSED)
def test_both_hosts_of_one_that_moves_count(neighbours: Neighbours, message: str | None) -> None:
    found = refusal("b", neighbours)
    assert found is None if message is None else str(found).startswith(message)


@pytest.mark.parametrize("neighbours", [one for one, message in REFUSED if message is not None])
def test_what_may_stay_in_place_is_refused_elsewhere_and_not_there(neighbours: Neighbours) -> None:
    need = replace(NEED, neighbours=neighbours, in_place=True)
    assert len(refusals(candidate(), need)) == 1
    assert refusals(candidate(), replace(need, source="b")) == []
