"""Moves of instances that do not run meanwhile: every interleaving of what can go wrong within a budget of faults."""

from collections.abc import Iterator
from typing import Any

import pytest

from migrator.operations import Kind
from tests.model import server
from tests.model.cold_state import Host, Record, State, Store
from tests.model.cold_world import World
from tests.model.search import explore

LIMIT = 10_000  # states a world

_STATES = {"running": ("active", True), "shut_off": ("stopped", False), "saved": ("suspended", False)}


def world(
    kind: Kind,
    *,
    was: str = "running",
    shared: bool = False,
    in_place: bool = False,
    hosts: int = 2,
    faults: int = 1,
    lost: dict[str, Any] | None = None,
    **may: Any,
) -> World:
    """``was``: the instance's domain at first. ``lost``: what has become of its host before the operation began."""
    files = Store(disk=1, memory=1 if was == "saved" else None)
    first = Host(dom="shut_off" if was == "saved" else was, flavor="old", store=Store() if shared else files)
    requested = 0 if in_place else 1 if hosts == 2 else None
    op = server.new(kind, 1, 0, requested)._replace(shared=shared)
    if kind is Kind.EVACUATION:
        op = op._replace(learnt=frozenset({"guest"}), power=was)
    return World(
        State(
            op=op,
            hosts=(first._replace(**(lost or {})), *(Host() for _ in range(hosts - 1))),
            facts=(None,) * hosts,
            shared=files if shared else Store(),
            record=Record(0, "old", *_STATES[was]),
            claims=frozenset({(0, "old")}),
            disturbed=bool(lost),
            faults=faults,
        ),
        **may,
    )


M, R, E = Kind.MIGRATION, Kind.RESIZE, Kind.EVACUATION
DEAD = {"power": False, "silent": True, "declared": True, "dom": "shut_off"}
SEEMS = {"silent": True, "declared": True}
WORLDS = {
    "migration, confirmed": world(M),
    "migration, reverted": world(M, reverts=True),
    "migration, two faults": world(M, faults=2),
    "migration, stopped": world(M, was="shut_off"),
    "migration, another host": world(M, hosts=3),
    "migration, shared": world(M, shared=True),
    "migration, shared, reverted": world(M, shared=True, reverts=True, faults=2),
    "migration, suspended": world(M, was="saved"),
    "migration, suspended, reverted": world(M, was="saved", reverts=True),
    "migration, suspended, shared": world(M, was="saved", shared=True, reverts=True),
    "resize": world(R, faults=2),
    "resize, reverted": world(R, reverts=True),
    "resize in place": world(R, in_place=True, hosts=1, faults=3),
    "resize in place, reverted": world(R, in_place=True, hosts=1, faults=3, reverts=True),
    "resize in place, suspended": world(R, was="saved", in_place=True, hosts=1, faults=2),
    "migration, shared, a host only seems dead": world(M, shared=True, faults=2, vouches="silent"),
    "suspend": world(Kind.SUSPEND, hosts=1, faults=3),
    "resume": world(Kind.RESUME, was="saved", hosts=1, faults=3),
    "evacuation": world(E, lost=DEAD),
    "evacuation, stopped": world(E, was="shut_off", lost=DEAD),
    "evacuation, another host": world(E, hosts=3, lost=DEAD),
    "evacuation, nobody vouches": world(E, lost={"silent": True}, vouches="-"),
    "evacuation, shared": world(E, shared=True, lost=DEAD, faults=2),
    "evacuation, shared, suspended": world(E, was="saved", shared=True, lost=DEAD),
    "evacuation of a host that only seems dead": world(E, shared=True, lost=SEEMS, vouches="silent"),
    "evacuation, another host seems dead too": world(E, shared=True, hosts=3, lost=SEEMS, faults=2, vouches="silent"),
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    server.forget()
    yield
    server.forget()


@pytest.mark.parametrize("name", WORLDS)
def test_no_interleaving_breaks_a_rule(name: str) -> None:
    states = explore(WORLDS[name], LIMIT)
    print(f"{name}: {states} states")
    assert states > 100
