"""The journal keeps what it promised through a restart, a torn line and a compaction."""

import resource
import time
from pathlib import Path

import pytest

from migrator.compute import journal as journal_module
from migrator.compute.journal import JournalDamaged, JournalFull, LineJournal, MemoryMedium, open_journal
from migrator.errors import Conflict


def test_remembers_epochs_and_begun_transfers_through_a_restart(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "journal")
    first.note_epoch("a", 3)
    first.begin("b", 2)
    first.close()

    second = open_journal(tmp_path / "journal")
    assert second.incarnation == first.incarnation + 1
    assert second.highest_epoch("a") == 3
    assert second.highest_epoch("b") == 2
    assert second.begun("b", 2)
    assert not second.begun("b", 1)
    assert not second.begun("a", 3)
    assert second.last_begun("b") == 2
    assert second.last_begun("a") is None
    second.close()


def test_the_incarnation_is_on_the_disk_before_anything_else_happens(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    assert (tmp_path / "journal").read_text() == f'{{"incarnation":{journal.incarnation}}}\n'
    journal.close()


def test_a_journal_that_was_moved_away_is_followed_by_a_newer_one(tmp_path: Path) -> None:
    """Else the server would take all that this host says for older than what it has heard."""
    first = open_journal(tmp_path / "journal")
    first.close()
    time.sleep(1.01)
    (tmp_path / "journal").unlink()
    second = open_journal(tmp_path / "journal")
    second.close()
    assert second.incarnation > first.incarnation


@pytest.mark.parametrize("cut", range(1, 42))
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    first = open_journal(path)
    first.note_epoch("a", 1)
    first.begin("b", 7)
    first.close()
    whole = path.read_bytes()
    last = whole[whole.rindex(b"\n", 0, -1) + 1 :]
    assert len(last) == 41
    path.write_bytes(whole[:-cut])

    second = open_journal(path)
    assert second.highest_epoch("a") == 1
    assert not second.begun("b", 7)
    second.begin("c", 1)
    second.close()

    third = open_journal(path)
    assert third.incarnation == first.incarnation + 2
    assert third.begun("c", 1)
    third.close()


def test_a_full_disk_tears_no_line_in_the_middle(tmp_path: Path) -> None:
    """What was written of a line goes when the rest does not fit, so that the next one stands by itself."""
    path = tmp_path / "journal"
    first = open_journal(path)
    first.note_epoch("a", 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, resource.RLIM_INFINITY))
    try:
        with pytest.raises(JournalFull, match="too large"):
            first.begin("b", 7)
        with pytest.raises(JournalFull):
            first.note_epoch("b", 7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not first.begun("b", 7)
    assert first.highest_epoch("b") == 0
    first.begin("c", 2)
    first.close()

    second = open_journal(path)
    assert second.begun("c", 2)
    assert not second.begun("b", 7)
    second.close()


def test_a_damaged_line_in_the_middle_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"incarnation":1}\n{"opera\n{"incarnation":2}\n')
    with pytest.raises(JournalDamaged, match="line 2"):
        open_journal(path)


def test_a_second_agent_is_kept_away(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "journal")
    with pytest.raises(Conflict):
        open_journal(tmp_path / "journal")
    first.close()
    open_journal(tmp_path / "journal").close()


def test_compaction_keeps_the_newest_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "KEPT_OPERATIONS", 3)
    monkeypatch.setattr(journal_module, "COMPACT_LINES", 10)
    journal = open_journal(tmp_path / "journal")
    for number in range(30):
        journal.note_epoch(f"op{number}", 1)
        journal.begin(f"op{number}", 1)
    journal.close()

    again = open_journal(tmp_path / "journal")
    assert again.incarnation == journal.incarnation + 1
    assert again.begun("op29", 1)
    assert again.begun("op27", 1)
    assert not again.begun("op1", 1)
    assert len((tmp_path / "journal").read_bytes().splitlines()) < 10
    again.close()


def test_writes_nothing_for_what_is_known() -> None:
    kept: list[bytes] = []
    journal = LineJournal(MemoryMedium(kept))
    journal.begin("a", 2)
    before = list(kept)
    journal.begin("a", 2)
    journal.note_epoch("a", 2)
    journal.note_epoch("a", 1)
    assert kept == before
