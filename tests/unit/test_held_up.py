"""``decide`` while something outside of the operation has to be known first."""

from dataclasses import replace

from migrator.operations import Kind
from migrator.scheduler.decide import decide
from tests.model import server
from tests.model.server import Op, Seen
from tests.unit.deciding import op


def asked(op: Op, fact: Seen | None = None) -> server.Snapshot:
    return server.snapshot_of(op, (None, fact), (True, True))


def test_a_deletion_does_not_go_on_while_a_host_reports_a_copy() -> None:
    snapshot = asked(op(Kind.DELETE, "elsewhere"))
    assert decide(snapshot).phase == "release"
    held = decide(replace(snapshot, copies=(("c", "running"),)))
    assert (held.phase, held.effect) == (None, None)
    assert "a copy of the instance is reported by c (running)" in str(held.waiting)


def test_nothing_is_done_while_the_description_of_a_host_cannot_be_read() -> None:
    snapshot = asked(op(Kind.LIVE_MIGRATION, "check"), Seen(1, 1, "check", "absent"))
    assert decide(snapshot).phase == "prepare"
    unread = replace(snapshot.hosts["b"], unreadable="its description has a word that is not known")
    held = decide(replace(snapshot, hosts={**snapshot.hosts, "b": unread}))
    assert (held.phase, held.waiting) == (None, "waiting for host b: its description has a word that is not known")
