"""The journal keeps what it promised through a restart, a partial line and a compaction."""

import resource
import time
from io import FileIO
from pathlib import Path

import pytest

from migrator.compute import journal as journal_module
from migrator.compute import journal_state, line_journal
from migrator.compute.journal import FileMedium, JournalFull, LineJournal, MemoryMedium, open_journal
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
    """A partial line goes when the rest does not fit, so that the next line stands alone."""
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


def test_a_damaged_line_in_the_middle_is_said_and_kept_and_the_rest_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    damaged = b'{"incarnation":1}\n{"opera\n{"operation":"b","epoch":3,"begun":true}\n{"incarnation":2}\n'
    path.write_bytes(damaged)
    first = open_journal(path)
    assert (first.incarnation, first.begun("b", 3), first.impaired) == (3, True, "")
    assert first.lost.startswith(
        "1 of 4 lines of the agent's journal cannot be read: 2; the damaged journal is kept as "
    )
    assert Path(first.lost.rpartition(" ")[2]).read_bytes() == damaged
    first.close()
    second = open_journal(path)
    assert (second.incarnation, second.begun("b", 3), second.lost) == (4, True, "")
    second.close()


LINE = b'{"operation":"b","epoch":2}\n'


TAILS = (b"\0" * 10 + LINE[10:], b"\0" * 512, b"\0" * 512 + b"\n", LINE[:9] + b"\n", b"\xff\xfe\n", b"[" * 5000 + b"\n")


@pytest.mark.parametrize("tail", TAILS)
def test_a_last_line_of_which_only_some_blocks_were_written_is_no_loss(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "journal"
    first = open_journal(path)
    first.note_epoch("a", 1)
    first.close()
    path.write_bytes(path.read_bytes() + tail)
    for starts in (1, 2):
        again = open_journal(path)
        assert again.incarnation == first.incarnation + starts
        assert (again.highest_epoch("a"), again.highest_epoch("b"), again.lost, again.impaired) == (1, 0, "", "")
        again.note_epoch("c", starts)
        again.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b'{"incarn', b'{"incarn\n', b"\0" * 20 + b"\n"])
def test_a_first_line_that_was_cut_off_makes_a_new_journal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal").write_bytes(content)
    first = open_journal(tmp_path / "journal")
    assert first.incarnation > time.time() - 10
    first.note_epoch("a", 1)
    first.close()
    second = open_journal(tmp_path / "journal")
    assert (second.incarnation, second.highest_epoch("a")) == (first.incarnation + 1, 1)
    second.close()


def test_a_journal_that_cannot_be_opened_again_is_opened_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path / "journal")
    journal.note_epoch("a", 1)

    def refuse(_medium: FileMedium) -> FileIO:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(FileMedium, "_open", refuse)
    with pytest.raises(JournalFull):
        journal._compact()
    with pytest.raises(JournalFull, match="Too many open files"):
        journal.note_epoch("b", 1)
    assert "Too many open files" in journal.impaired
    monkeypatch.undo()
    journal.recover()
    assert journal.impaired == ""
    journal.note_epoch("b", 1)
    journal.close()
    again = open_journal(tmp_path / "journal")
    assert (again.highest_epoch("a"), again.highest_epoch("b")) == (1, 1)
    again.close()


@pytest.mark.parametrize("new", [False, True])
def test_an_agent_starts_on_a_full_disk_and_says_so_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    path = tmp_path / "state" / "journal"
    if not new:
        open_journal(path).close()

    def full(_file: object, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module, "_write", full)
    journal = open_journal(path)
    assert "No space left on device" in journal.impaired
    assert journal.incarnation > time.time() - 10, "a later start counts from a later time of day, and is newer"
    with pytest.raises(JournalFull):
        journal.begin("a", 1)
    assert not journal.begun("a", 1)
    monkeypatch.undo()
    journal.recover()
    assert journal.impaired == ""
    journal.close()
    again = open_journal(path)
    assert again.incarnation == journal.incarnation + 1
    again.close()


def test_a_journal_that_cannot_be_read_never_ends_the_agent(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    journal = open_journal(tmp_path / "journal")
    assert "Is a directory" in journal.lost
    assert "Is a directory" in journal.impaired
    journal.close()


def test_where_no_lock_can_be_made_a_second_agent_is_kept_away_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    first = open_journal(tmp_path / "state" / "journal")
    assert first.impaired
    with pytest.raises(Conflict):
        open_journal(tmp_path / "state" / "journal")
    first.close()
    open_journal(tmp_path / "state" / "journal").close()


# --- the newest operation of each instance ---------------------------------------------------------------------------


def test_the_newest_operation_of_each_instance_outlives_restarts_and_compactions(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "journal")
    assert first.newest("vm") == 0
    first.note_epoch("new", 1, "vm", 8)
    first.note_epoch("old", 1, "vm", 7)
    first.note_epoch("other", 4, "other-vm", 9)
    first._compact()
    first.close()
    second = open_journal(tmp_path / "journal")
    assert (second.newest("vm"), second.newest("other-vm"), second.newest("third")) == (8, 9, 0)
    assert second.highest_epoch("other") == 4
    second.close()


def test_an_instance_that_was_forgotten_counts_as_served_by_the_newest_of_those_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_state, "KEPT_INSTANCES", 2)
    first = open_journal(tmp_path / "journal")
    for serial in range(1, 6):
        first.note_epoch(f"op{serial}", 1, f"vm{serial}", serial)
    first._compact()
    first.close()
    second = open_journal(tmp_path / "journal")
    assert [second.newest(f"vm{serial}") for serial in range(1, 6)] == [3, 3, 3, 4, 5]
    second.note_epoch("op9", 1, "vm1", 9)
    assert second.newest("vm1") == 9
    second.close()


def test_an_older_journal_starts_above_what_the_server_knows(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "journal")
    first.raise_incarnation(first.incarnation + 70)
    wanted = first.incarnation
    first.raise_incarnation(3)
    assert first.incarnation == wanted
    first.close()
    second = open_journal(tmp_path / "journal")
    assert second.incarnation == wanted + 1
    second.close()


def test_a_second_agent_is_kept_away(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "journal")
    with pytest.raises(Conflict):
        open_journal(tmp_path / "journal")
    first.close()
    open_journal(tmp_path / "journal").close()


def test_compaction_keeps_the_newest_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_state, "KEPT_OPERATIONS", 3)
    monkeypatch.setattr(line_journal, "COMPACT_LINES", 10)
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
