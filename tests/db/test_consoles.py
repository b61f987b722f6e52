"""The log of a console that several hosts tell of: in order, once, without a hole, and no longer than is kept."""

import base64

import pytest

from migrator.db import consoles
from migrator.db.engine import Database
from migrator.protocol import CONSOLE_BYTES, ConsolePiece

ONE = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"


class Log:
    def __init__(self, db: Database) -> None:
        self._db = db

    def tell(
        self, host: str, content: bytes, start: int = 0, *, here: bool = True, file: int = 1, size: int | None = None
    ) -> None:
        text = base64.b64encode(content).decode()
        whole = start + len(content) if size is None else size
        piece = ConsolePiece(instance=ONE, file=file, start=start, size=whole, live=here, text=text)
        with self._db.write() as connection:
            consoles.tell(connection, host, piece, here=here)

    def read(self) -> bytes:
        with self._db.read() as connection:
            return consoles.log(connection, ONE)


@pytest.fixture
def log(db: Database) -> Log:
    return Log(db)


def test_what_is_told_twice_is_there_once(log: Log) -> None:
    log.tell("a", b"one\n")
    log.tell("a", b"one\ntwo\n")
    log.tell("a", b"two\n", 4)
    log.tell("a", b"one\n", size=8)
    assert log.read() == b"one\ntwo\n"


def test_the_stays_on_hosts_follow_each_other(log: Log) -> None:
    log.tell("a", b"one\n")
    log.tell("b", b"two\n")
    log.tell("a", b"one\nthree\n")
    log.tell("b", b"two\nfour\n")
    assert log.read() == b"one\ntwo\nthree\nfour\n"


def test_the_last_bytes_of_a_stay_come_before_the_next_stay_though_they_are_told_later(log: Log) -> None:
    log.tell("a", b"one\n")
    log.tell("b", b"three\n")
    log.tell("a", b"two\n", 4, here=False)
    assert log.read() == b"one\ntwo\nthree\n"


def test_a_stay_that_is_told_for_the_first_time_when_it_is_over_comes_first(log: Log) -> None:
    log.tell("b", b"two\n")
    log.tell("a", b"one\n", here=False)
    assert log.read() == b"one\ntwo\n"


@pytest.mark.parametrize(("file", "size"), [(2, 100), (1, 4)], ids=["another file", "a shorter file"])
def test_a_file_that_begins_anew_is_all_news(log: Log, file: int, size: int) -> None:
    log.tell("a", b"one\ntwo\n")
    log.tell("a", b"new\n", file=file, size=size)
    assert log.read() == b"one\ntwo\nnew\n"


def test_the_bytes_before_a_hole_are_not_kept(log: Log) -> None:
    log.tell("a", b"one\n")
    log.tell("b", b"two\n")
    log.tell("b", b"four\n", 100)
    assert log.read() == b"four\n"
    log.tell("b", b"five\n", 105)
    assert log.read() == b"four\nfive\n"


def test_no_more_than_the_newest_bytes_are_kept(log: Log) -> None:
    log.tell("a", b"a" * 40_000)
    log.tell("b", b"b" * 40_000)
    log.tell("a", b"c" * 45_000, 40_000)
    assert log.read() == (b"a" * 40_000 + b"b" * 40_000 + b"c" * 45_000)[-CONSOLE_BYTES:]
    log.tell("b", b"d" * 45_000, 40_000)
    log.tell("b", b"e" * 45_000, 85_000)
    log.tell("b", b"f" * 45_000, 130_000)
    assert log.read() == (b"d" * 45_000 + b"e" * 45_000 + b"f" * 45_000)[-CONSOLE_BYTES:]
    log.tell("a", b"a" * 40_000, size=85_000, here=False)
    assert log.read().count(b"a") == 0  # it is known to be told, though none of it is kept
