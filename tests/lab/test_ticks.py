"""The follower's judgement on consoles written by hand: what is a gap, and what betrays a guest that ran twice."""

from pathlib import Path

import pytest

from migrator.lab.ticks import Content, TickFollower

BOOT = "boot 11111111-2222-3333-4444-555555555555\r\n"


@pytest.fixture
def follower(tmp_path: Path) -> TickFollower:
    return TickFollower({"n1": tmp_path / "n1", "n2": tmp_path / "n2"})


def write(follower: TickFollower, host: str, text: str) -> None:
    with follower.consoles[host].open("a", newline="") as file:
        file.write(text)
    follower.read()


def test_a_guest_that_moved_once_has_no_problem(follower: TickFollower) -> None:
    write(follower, "n1", BOOT + "tick 0 1.0\r\ntick 1 1.1\r\n")
    write(follower, "n2", "tick 2 1.2\r\n")
    assert [tick.number for tick in follower.ticks] == [0, 1, 2]
    assert follower.problems == []
    assert len(follower.boots) == 1


def test_a_line_that_moved_in_its_middle_is_one_tick(follower: TickFollower) -> None:
    write(follower, "n1", "tick 41 1.0\r\ntick 4")
    write(follower, "n2", "2 1.1\r\n")
    assert [(tick.host, tick.number) for tick in follower.ticks] == [("n1", 41), ("n2", 42)]


@pytest.mark.parametrize(
    ("host", "line", "problem"),
    [
        ("n2", "tick 7 1.0\n", "printed twice: on n1 and on n2"),
        ("n1", "tick 7 1.0\n", "printed twice: on n1 and on n1"),
        ("n2", "tick 3 1.0\n", "tick 3 on n2 came after 7"),
        ("n1", "disk BAD 5\n", "lost block 5"),
        ("n1", "disk sum=00000000000000aa bytes=1 size=2 LOST\n", "not what was written: 00000000000000aa"),
    ],
)
def test_what_betrays_a_guest_that_ran_twice_or_lost_data(
    follower: TickFollower, host: str, line: str, problem: str
) -> None:
    write(follower, "n1", "tick 7 1.0\n")
    write(follower, host, line)
    assert len(follower.problems) == 1
    assert problem in follower.problems[0]


def test_a_reboot_is_a_new_life_and_may_count_from_nought(follower: TickFollower) -> None:
    write(follower, "n1", BOOT + "tick 7 1.0\n")
    write(follower, "n1", BOOT.replace("1", "2") + "tick 0 1.0\n")
    assert follower.problems == []
    assert [tick.life for tick in follower.ticks] == [1, 2]


def test_what_the_disk_holds_is_told_by_the_life_that_read_it(follower: TickFollower) -> None:
    write(follower, "n1", BOOT + "disk sum=00000000000000aa bytes=8 size=64 new\r\n")
    assert (follower.content(timeout=0).new, follower.content(timeout=0).sum) == (True, "00000000000000aa")
    write(follower, "n2", BOOT.replace("1", "2"))
    with pytest.raises(TimeoutError, match="content"):
        follower.content(timeout=0)
    write(follower, "n2", "disk sum=00000000000000aa bytes=8 size=128 kept\r\n")
    assert follower.content(timeout=0) == Content("n2", 2, "00000000000000aa", 8, 128, new=False)
