"""Where an instance is, in sentences that an operator can act on."""

from typing import Any

import pytest

from migrator.scheduler.hosts import whereabouts
from migrator.scheduler.hosts.reconciliation_rules import Sides
from migrator.scheduler.hosts.whereabouts import LocationStatus
from tests.unit.scheduler.hosts.both_sides import (
    FENCED,
    LISTLESS,
    NONE,
    SILENT,
    CopyOnHost,
    Operation,
    Record,
    View,
    sides,
)

#   what is known, its standing, the summary
TOLD: tuple[tuple[Sides, LocationStatus, str], ...] = (
    (sides(CopyOnHost("n1")), LocationStatus.CERTAIN, "It runs on n1, which said so 5 s ago."),
    (sides(CopyOnHost("n1", "shut_off")), LocationStatus.CERTAIN, "It is shut off on n1, which said so 5 s ago."),
    (sides(CopyOnHost("n1"), operations=[Operation()]), LocationStatus.MOVING, "It runs on n1, which said so 5 s ago."),
    (sides(), LocationStatus.NOWHERE, "It runs nowhere: its host n1 answers, and has no copy of it."),
    (
        sides(record=Record(updated_at=997.0)),
        LocationStatus.CERTAIN,
        "It is active on n1 by its record of 3 s ago; the host's next list of its guests is awaited.",
    ),
    (
        sides(CopyOnHost("n1", believed=False)),
        LocationStatus.NOWHERE,
        "It runs nowhere: its host n1 answers, and has no copy of it.",
    ),
    (
        sides(CopyOnHost("n1"), n1=SILENT),
        LocationStatus.UNKNOWN,
        "Its host n1 has been silent for 45 s. It was last reported there as running, and it may still run.",
    ),
    (
        sides(n1=SILENT),
        LocationStatus.UNKNOWN,
        "Its host n1 has been silent for 45 s. Nothing was reported of it there, and it may still run.",
    ),
    (
        sides(CopyOnHost("n1"), n1=SILENT, operations=[Operation()]),
        LocationStatus.UNKNOWN,
        "Its host n1 has been silent for 45 s. It was last reported there as running, and it may still run.",
    ),
    (
        sides(CopyOnHost("n1"), n1=FENCED),
        LocationStatus.NOWHERE,
        "It runs nowhere: its host n1 is silent and fenced (forced down by admin).",
    ),
    (
        sides(CopyOnHost("n2"), n1=FENCED),
        LocationStatus.UNKNOWN,
        "Its host n1 is silent and fenced (forced down by admin); but a copy of it is on n2.",
    ),
    (
        sides(CopyOnHost("n2", "shut_off"), n1=FENCED),
        LocationStatus.NOWHERE,
        "It runs nowhere: its host n1 is silent and fenced (forced down by admin).",
    ),
    (
        sides(unseen=["n1", "n3"]),
        LocationStatus.UNKNOWN,
        "Its host n1 answers, and has no copy of it; n3 has not said which guests it has, and may run it.",
    ),
    (
        sides(CopyOnHost("n1", age_s=7200.0)),
        LocationStatus.UNKNOWN,
        "It was last reported there as running 7200 s ago, and no list of n1's guests came since.",
    ),
    (
        sides(CopyOnHost("n1"), n1=View(heard=False, awaited=True, silent_s=3600.0)),
        LocationStatus.UNKNOWN,
        "The servers came back a moment ago, and its host n1 has not spoken yet. "
        "It was last reported there as running, and it may still run.",
    ),
    (
        sides(CopyOnHost("n1"), n1=LISTLESS),
        LocationStatus.UNKNOWN,
        "Its host n1 answers, and has not listed its guests yet. It was last reported there as running.",
    ),
    (
        sides(record=Record("gone")),
        LocationStatus.UNKNOWN,
        "The record has it on gone, a host that is not known any more.",
    ),
    (sides(record=Record(None)), LocationStatus.NOWHERE, "It is on no host yet."),
    (
        sides(record=Record(deleted=True)),
        LocationStatus.NOWHERE,
        "It is deleted, and no host reports a copy of it.",
    ),
    (
        sides(CopyOnHost("n2"), record=Record(deleted=True)),
        LocationStatus.UNKNOWN,
        "It is deleted, but there is still a copy of it on n2.",
    ),
    (
        sides(CopyOnHost("n2"), record=NONE),
        LocationStatus.UNKNOWN,
        "No record has it, but there is still a copy of it on n2.",
    ),
    (
        sides(CopyOnHost("n1", "walking")),
        LocationStatus.CERTAIN,
        "It is in a state that this release does not know ('walking') on n1, which said so 5 s ago.",
    ),
)


@pytest.mark.parametrize(("known", "standing", "summary"), TOLD, ids=lambda value: str(value)[:40])
def test_one_sentence_says_where_it_is_and_by_whose_word(known: Sides, standing: LocationStatus, summary: str) -> None:
    told = whereabouts.tell(known, ())
    assert (told.status, told.summary) == (standing, summary)


def test_an_open_alarm_comes_before_all_else() -> None:
    told = whereabouts.tell(sides(CopyOnHost("n1")), ["compare both sides"])
    assert (told.status, told.advice) == (LocationStatus.ATTENTION, ("compare both sides",))


#   a copy beside the record's, whether it could run
ELSEWHERE: tuple[tuple[CopyOnHost, dict[str, Any], str], ...] = (
    (CopyOnHost("n2", "paused"), {}, "n2 said 5 s ago that a copy is paused there."),
    (CopyOnHost("n2", "shut_off"), {}, "n2 said 5 s ago that a copy is shut off there; it does not run."),
    (
        CopyOnHost("n2"),
        {"n2": SILENT},
        "n2 said 5 s ago that a copy runs there; the host is silent since, and it may run.",
    ),
    (
        CopyOnHost("n2"),
        {"n2": FENCED},
        "n2 said 5 s ago that a copy runs there; the host is silent and fenced since, so that it does not run.",
    ),
    (
        CopyOnHost("n2", believed=False),
        {},
        "n2 said 5 s ago that a copy runs there; that host was never given the instance, and is not believed.",
    ),
)


@pytest.mark.parametrize(("copy", "views", "sentence"), ELSEWHERE)
def test_every_other_copy_says_whether_it_could_run(copy: CopyOnHost, views: dict[str, Any], sentence: str) -> None:
    assert whereabouts.tell(sides(CopyOnHost("n1"), copy, **views), ()).elsewhere == [sentence]


@pytest.mark.parametrize(
    ("changed_at", "sentence"),
    [
        (
            997.0,
            "n2's last list of its guests, perhaps from before the record changed 3 s ago, says that a copy runs "
            "there.",
        ),
        (979.0, "n2 said 5 s ago that a copy runs there."),
    ],
)
def test_a_list_that_may_be_older_than_the_move_is_not_told_as_the_newest_word(
    changed_at: float, sentence: str
) -> None:
    record = Record(updated_at=changed_at)
    assert whereabouts.tell(sides(CopyOnHost("n1"), CopyOnHost("n2"), record=record), ()).elsewhere == [sentence]


#   what is known, what is advised
ADVISED = (
    (sides(CopyOnHost("n1")), "Nothing."),
    (sides(n1=FENCED), "`migrator evacuate u`"),
    (sides(n1=FENCED, operations=[Operation()]), "`migrator timeline o`"),
    (sides(n1=View(heard=False, awaited=True)), "Wait a few seconds for n1."),
    (sides(CopyOnHost("n1", age_s=31.0)), "its hypervisor may not"),
    (sides(n1=FENCED, unseen=["n3"]), "Bring n3 back, or fence"),
    (sides(n1=SILENT), "`migrator service-force-down n1`"),
    (sides(n1=LISTLESS), "Wait a few seconds"),
    (
        sides(CopyOnHost("n1"), operations=[Operation(wait_reason="host n2 is silent")]),
        "waits: host n2 is silent. `migrator",
    ),
    (sides(CopyOnHost("n1"), record=Record(vm_state="resized")), "`migrator resize-confirm u`"),
)


@pytest.mark.parametrize(("known", "part"), ADVISED, ids=lambda value: str(value)[:30])
def test_what_to_do_next_is_said(known: Sides, part: str) -> None:
    (advice,) = whereabouts.tell(known, ()).advice
    assert part in advice
