"""Every interleaving of crashes, silence, late and lost messages within a budget of faults: the safety rules hold."""

from typing import Any

import pytest

from migrator.operations import Kind
from migrator.protocol import PAUSE_REASON_USER, DomainState
from migrator.scheduler.decision import decide as decisions
from migrator.scheduler.decision import proof, views
from migrator.scheduler.decision import verdict as verdicts
from migrator.scheduler.decision.completion import DONE
from migrator.scheduler.decision.previous_phase import leave_phase
from migrator.scheduler.decision.verdict import Verdict, user_paused, verdict
from tests.model import server
from tests.model.live_state import WHOLE, Host, State
from tests.model.live_world import World
from tests.model.search import Found, explore

LIMIT = 12_000  # states a world; a number higher by orders of magnitude finds more only overnight


L = Kind.LIVE_MIGRATION


def world(
    kind: Kind,
    hosts: int,
    faults: int,
    *,
    requested: int | None = None,
    source: int | None = 0,
    paused: bool = False,
    **may: Any,
) -> World:
    placed = source is not None
    first = Host(dom="running", disk=WHOLE) if placed else Host()
    if paused:
        first = first._replace(dom="paused", reason=PAUSE_REASON_USER)
    state = State(
        op=server.new(kind, 1, source, requested),
        hosts=(first, *(Host() for _ in range(hosts - 1))),
        facts=(None,) * hosts,
        job=None,
        home=source,
        record=source,
        claims=frozenset({source}) if source is not None else frozenset(),
        delete_requested=False,
        deleted=False,
        faults=faults,
    )
    return World(state, **may)


FEWER = 4_000  # states of a world with disasters: it is the others' again, and what they add comes early
DISASTERS = {
    "move, power cuts": (FEWER, world(L, 2, 2, requested=1, undefined=True, disasters=frozenset({"power"}))),
    "move, the guest ends by itself": (
        FEWER,
        world(L, 2, 2, requested=1, undefined=True, may_cancel=True, disasters=frozenset({"guest"})),
    ),
    "move, a disk is lost": (FEWER, world(L, 2, 2, requested=1, undefined=True, disasters=frozenset({"disk"}))),
}
WORLDS = {
    "move, one fault": world(Kind.LIVE_MIGRATION, 2, 1, requested=1, may_cancel=True),
    "move, two faults": world(Kind.LIVE_MIGRATION, 2, 2, requested=1, may_cancel=True),
    "move, source undefined": world(Kind.LIVE_MIGRATION, 2, 1, requested=1, may_cancel=True, undefined=True),
    "move, deleted meanwhile": world(Kind.LIVE_MIGRATION, 2, 1, requested=1, may_delete=True),
    "move, another host": world(Kind.LIVE_MIGRATION, 3, 2, may_cancel=True),
    "move, paused": world(Kind.LIVE_MIGRATION, 2, 2, requested=1, may_cancel=True, paused=True),
    "move, paused, source undefined": world(
        Kind.LIVE_MIGRATION, 2, 1, requested=1, may_cancel=True, paused=True, undefined=True
    ),
    "move, paused, deleted meanwhile": world(Kind.LIVE_MIGRATION, 2, 1, requested=1, may_delete=True, paused=True),
    **{name: move for name, (_, move) in DISASTERS.items()},
    "build": world(Kind.BUILD, 2, 2, source=None, may_cancel=True),
    "build, deleted meanwhile": world(Kind.BUILD, 2, 1, source=None, may_delete=True),
    "delete": world(Kind.DELETE, 1, 3),
    "stop": world(Kind.STOP, 1, 3, may_cancel=True),
    "reboot": world(Kind.REBOOT, 1, 2, may_cancel=True, may_delete=True),
}


@pytest.mark.parametrize("name", WORLDS)
def test_no_interleaving_breaks_a_rule(name: str) -> None:
    states = explore(WORLDS[name], DISASTERS[name][0] if name in DISASTERS else LIMIT)
    print(f"{name}: {states} states")
    assert states > 100


def _silence_is_absence(source: Any, destination: Any, **_: Any) -> Verdict:
    """Taken the other way round (a silent destination has nothing) three guards hold: see ``_still_here``, the
    agent that leaves a running domain alone, and "forward again"."""
    return Verdict.DESTINATION if source is None else verdict(source, destination)


def _never_destination(source: Any, destination: Any, **_: Any) -> Verdict:
    found = VERDICT(source, destination)
    return Verdict.SOURCE if found is Verdict.DESTINATION else found


VERDICT = verdict


def _any_epoch(snapshot: Any, host: Any) -> Any:
    return snapshot.facts.get(host)


def _moved_at_once(source: Any, destination: Any, **_: Any) -> Verdict:
    if destination is not None and destination.domain.state is DomainState.INCOMING:
        return Verdict.DESTINATION
    return VERDICT(source, destination)


def _two_that_rest_are_split(source: Any, destination: Any, *, paused: bool) -> Verdict:
    found = VERDICT(source, destination, paused=paused)
    return Verdict.SPLIT if user_paused(source) and user_paused(destination) and found is Verdict.DESTINATION else found


PLANTED = {
    "silence is taken for absence": (views, "verdict", _silence_is_absence),
    "a destination that only receives counts as moved": (views, "verdict", _moved_at_once),
    "a moved guest is not noticed": (views, "verdict", _never_destination),
    "facts of other epochs and phases count": (views, "fresh", _any_epoch),
    "an undo does not wait for its host": (decisions, "rollback", lambda s, t, p: leave_phase(s, t, p)),
}


def test_the_search_finds_a_paused_guest_that_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "verdict", _two_that_rest_are_split)
    with pytest.raises(Found) as found:
        explore(WORLDS["move, paused"], LIMIT)
    print(found.value.rule)


def _not_anew(snapshot: Any, phase: Any) -> bool:
    late = phase.name == "attest" and snapshot.operation.phase == "cleanup"
    return late or LEFT_OUT(snapshot, phase)


LEFT_OUT = views.left_out
DELETED_TOO_EARLY = {
    "what arrived is told by nothing but that it runs": ("move, power cuts", verdicts, "arrived", lambda _: False),
    "a cleanup asks for no proof": ("move, a disk is lost", proof, "judge_whole", lambda *_: DONE),
    "a proof from before a silence counts": ("move, a disk is lost", views, "left_out", _not_anew),
}


@pytest.mark.parametrize("name", DELETED_TOO_EARLY)
def test_the_search_finds_a_copy_that_is_given_up_too_early(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, part, attribute, planted = DELETED_TOO_EARLY[name]
    monkeypatch.setattr(part, attribute, planted)
    with pytest.raises(Found) as found:
        explore(*DISASTERS[where][::-1])
    print(f"{name}: {found.value.rule}")


@pytest.mark.parametrize("name", PLANTED)
def test_the_search_finds_a_planted_bug(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, part, planted = PLANTED[name]
    monkeypatch.setattr(where, part, planted)
    with pytest.raises(Found) as found:
        explore(WORLDS["move, one fault"], LIMIT)
    print(f"{name}: {found.value.rule}")
