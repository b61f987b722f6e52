"""Which word of an operator is taken: never one with which two copies could run."""

from typing import Any

import pytest

from migrator.errors import BadRequest, Conflict
from migrator.scheduler.hosts.reconciliation import Sides, Word, refuse
from tests.unit.scheduler.hosts.both_sides import FENCED, LISTLESS, SILENT, CopyOnHost, Operation, Record, sides

ACTING = [Operation("stop", "stop"), Operation("migration", "copy")]
TAKEN = [
    (sides(CopyOnHost("n3")), Word("n3")),
    (sides(CopyOnHost("n1")), Word("n1")),
    (sides(CopyOnHost("n3"), CopyOnHost("n1", "shut_off")), Word("n3")),
    (sides(CopyOnHost("n3", "shut_off"), CopyOnHost("n2", believed=False)), Word("n3")),
    (sides(CopyOnHost("n3", believed=False)), Word("n3", unproven=True)),
    (sides(CopyOnHost("n3"), n1=FENCED), Word("n3", frozenset({"n1"}))),
    (sides(CopyOnHost("n3"), CopyOnHost("n2"), n2=FENCED), Word("n3", frozenset({"n2"}))),
    (sides(CopyOnHost("n2", "paused"), n2=FENCED), Word(None, frozenset({"n2"}))),
    (sides(CopyOnHost("n3"), record=Record(host="gone")), Word("n3", frozenset({"gone"}))),
    (sides(CopyOnHost("n3"), operations=ACTING, disputed="newer"), Word("n3")),
    (sides(CopyOnHost("n3"), disputed="newer", at_work=["n2"], n2=FENCED), Word("n3", frozenset({"n2"}))),
    (sides(CopyOnHost("n3"), unseen=["n4"]), Word("n3")),
    (sides(CopyOnHost("n3", "shut_off"), unseen=["n4"], n4=FENCED), Word("n3", frozenset({"n4"}))),
    (sides(CopyOnHost("n3"), operations=[Operation("migration", "verify")]), Word("n3")),
    (sides(CopyOnHost("n3"), operations=[Operation("migration", "cleanup", locks_instance=False)]), Word("n3")),
]
REFUSED = [
    (sides(CopyOnHost("n3")), Word("n2"), "n2 reports no copy"),
    (sides(CopyOnHost("n3"), n3=SILENT), Word("n3"), "n3 is silent: its word is 5 s old"),
    (sides(CopyOnHost("n3", "incoming")), Word("n3"), "receiving end"),
    (sides(CopyOnHost("n3", believed=False)), Word("n3"), "it only says so"),
    (sides(CopyOnHost("n3"), CopyOnHost("n1")), Word("n3"), "runs on n1, too"),
    (sides(CopyOnHost("n3"), CopyOnHost("n1", "paused")), Word("n3"), "is paused on n1, too"),
    (sides(CopyOnHost("n3"), CopyOnHost("n2", "incoming")), Word("n3"), "is incoming on n2, too"),
    (sides(CopyOnHost("n3"), n1=SILENT), Word("n3"), "n1 is silent, and may have a copy"),
    (sides(CopyOnHost("n3"), n1=FENCED), Word("n3"), "n1 is silent, and may have a copy"),
    (sides(CopyOnHost("n3"), CopyOnHost("n2", "shut_off"), n2=SILENT), Word("n3"), "n2 is silent, and may have a copy"),
    (sides(CopyOnHost("n3"), n1=SILENT), Word("n3", frozenset({"n1"})), "nothing says that its guests do not run"),
    (sides(CopyOnHost("n3"), CopyOnHost("n1")), Word("n3", frozenset({"n1"})), "Host n1 answers"),
    (sides(CopyOnHost("n3"), record=Record(deleted=True)), Word("n3"), "was deleted"),
    (
        sides(CopyOnHost("n3"), operations=[Operation("live-migration", "transfer")], disputed="newer"),
        Word("n3"),
        "transfer",
    ),
    (sides(CopyOnHost("n3"), disputed="newer", at_work=["n2"]), Word("n3"), "may still be under way on n2"),
    (sides(CopyOnHost("n3", "shut_off"), unseen=["n4", "n5"]), Word("n3"), "may run the instance: n4, n5"),
    (sides(CopyOnHost("n3", "paused"), unseen=["n4"]), Word("n3"), "may run the instance: n4"),
    (sides(CopyOnHost("n3"), n3=LISTLESS), Word("n3"), "n3 has not listed its guests"),
    (
        sides(CopyOnHost("n3"), n1=LISTLESS),
        Word("n3"),
        "n1 has not listed its guests since the servers are back, and may",
    ),
    # A start, stop or copy that is under way on its host would go on beside what the word makes of the record.
    *(
        (sides(CopyOnHost("n3"), operations=[one]), Word("n3"), f"A {one.kind} of the instance is under way")
        for one in ACTING
    ),
    (sides(CopyOnHost("n2"), operations=[Operation("start", "start")]), Word("n2"), "n1 may be starting"),
    (
        sides(CopyOnHost("n1"), operations=[Operation("migration", "start", forward=False)]),
        Word("n1"),
        "n2 may be starting",
    ),
]


@pytest.mark.parametrize(("found", "word"), TAKEN)
def test_a_word_that_leaves_one_copy_is_taken(found: Sides, word: Word) -> None:
    refuse(found, word)


@pytest.mark.parametrize(("found", "word", "why"), REFUSED)
def test_a_word_that_could_make_two_copies_run_is_refused_by_name(found: Sides, word: Word, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        refuse(found, word)


def test_no_word_is_no_word() -> None:
    with pytest.raises(BadRequest):
        refuse(sides(CopyOnHost("n3")), Word(None))
    held: Any = [CopyOnHost("n3")]
    with pytest.raises(Conflict, match="has no record"):
        refuse(Sides("u", None, held, {}, (), frozenset()), Word("n3"))
