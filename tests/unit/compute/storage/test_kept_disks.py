"""Disks that are kept aside: their names, their age, and that nothing is deleted early or overwritten."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.compute.storage.kept_disks import AGE, KeptAside
from migrator.errors import Conflict

INSTANCE = "5f0c6c52-7b1f-4d43-a4a3-9f0d2a2b0001"
FIRST = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"
SECOND = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"
DAY = 24 * 3600.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


Agent = Callable[..., KeptAside]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agent(tmp_path: Path, clock: Clock) -> Agent:
    """Each call is another process of the host's agent."""
    return lambda host="n1": KeptAside(lambda: {"local": tmp_path}, host, 7 * DAY, clock)


def home(pool: Path, content: str) -> Path:
    directory = pool / INSTANCE
    directory.mkdir()
    (directory / "disk").write_text(content)
    return directory


def pass_days(kept: KeptAside, clock: Clock, days: float) -> list[str]:
    clock.now += days * DAY
    return [one.operation for one in kept.tend()]


def test_disks_are_deleted_when_their_time_has_passed_and_not_before(
    tmp_path: Path, agent: Agent, clock: Clock
) -> None:
    kept = agent()
    clock.now += 5 * DAY  # before anything was kept
    kept.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    assert pass_days(kept, clock, 6.9) == []
    (one,) = kept.listed()
    assert one.files == ("disk",)
    assert (one.age_s, one.left_s) == pytest.approx((6.9 * DAY, 0.1 * DAY))
    assert pass_days(kept, clock, 0.2) == [FIRST]
    assert list(tmp_path.iterdir()) == []


def test_only_time_in_which_an_agent_ran_counts(tmp_path: Path, agent: Agent, clock: Clock) -> None:
    first = agent()
    first.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    assert pass_days(first, clock, 4) == []
    clock.now = 50.0  # the machine was started anew, and its clock begins at another time
    second = agent()
    assert second.tend() == []  # the first look
    assert pass_days(second, clock, 2.9) == []
    assert [round(one.age_s / DAY, 1) for one in second.listed()] == [6.9]
    assert pass_days(second, clock, 0.2) == [FIRST]


def test_a_clock_that_goes_back_ages_nothing(tmp_path: Path, agent: Agent, clock: Clock) -> None:
    kept = agent()
    kept.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    assert pass_days(kept, clock, 3) == []
    assert pass_days(kept, clock, -8) == []
    assert [round(one.age_s / DAY, 1) for one in kept.listed()] == [3.0]
    assert pass_days(kept, clock, 4.1) == [FIRST]


@pytest.mark.parametrize("text", ["", "{", '{"host": "n1", "seconds": "x"}', '{"host": "n1"}', "[]", "null"])
def test_an_age_that_cannot_be_read_is_counted_from_the_beginning(
    text: str, tmp_path: Path, agent: Agent, clock: Clock
) -> None:
    agent().set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    (age,) = tmp_path.glob(f"*/{AGE}")
    age.write_text(text)
    kept = agent()
    assert pass_days(kept, clock, 6.9) == []
    assert pass_days(kept, clock, 0.2) == []  # it was seen first a moment ago
    assert pass_days(kept, clock, 7) == [FIRST]


def test_one_agent_counts_where_several_see_the_storage(tmp_path: Path, agent: Agent, clock: Clock) -> None:
    agent().set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    other = agent("n2")
    assert pass_days(other, clock, 30) == []
    assert [one.operation for one in other.listed()] == [FIRST]


def test_disks_are_set_aside_on_a_full_disk_and_kept_longer(
    tmp_path: Path, agent: Agent, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    kept, directory = agent(), home(tmp_path, "old")
    monkeypatch.setattr(os, "replace", full)
    kept.set_aside([directory], INSTANCE, FIRST)
    assert pass_days(kept, clock, 30) == []
    monkeypatch.undo()
    assert pass_days(kept, clock, 6.9) == []
    assert pass_days(kept, clock, 7.1) == [FIRST]


def test_kept_disks_are_never_overwritten(tmp_path: Path, agent: Agent) -> None:
    kept = agent()
    kept.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    with pytest.raises(Conflict, match="exists already"):
        kept.set_aside([home(tmp_path, "new")], INSTANCE, FIRST)
    assert (tmp_path / f".kept.{INSTANCE}.{FIRST}" / "disk").read_text() == "old"
    assert (tmp_path / INSTANCE / "disk").read_text() == "new"


def test_disks_change_places_and_a_killed_agent_ends_it_the_next_time(
    tmp_path: Path, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = agent()
    kept.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    home(tmp_path, "new")
    renamed = os.rename
    calls = []

    def once(old: Path, new: Path) -> None:
        calls.append(old)
        if len(calls) == 2:
            raise KeyboardInterrupt
        renamed(old, new)

    monkeypatch.setattr(os, "rename", once)
    with pytest.raises(KeyboardInterrupt):
        kept.exchange(INSTANCE, FIRST, SECOND)
    monkeypatch.undo()
    agent().exchange(INSTANCE, FIRST, SECOND)
    assert (tmp_path / INSTANCE / "disk").read_text() == "old"
    assert not (tmp_path / INSTANCE / AGE).exists()
    assert (tmp_path / f".kept.{INSTANCE}.{SECOND}" / "disk").read_text() == "new"
    agent().exchange(INSTANCE, SECOND, FIRST)
    assert (tmp_path / INSTANCE / "disk").read_text() == "new"


def test_a_half_deleted_directory_is_nobodys_disk(tmp_path: Path, agent: Agent) -> None:
    half = tmp_path / f".dropped.{INSTANCE}.{FIRST}"
    half.mkdir()
    (half / "disk").write_text("x")
    kept = agent()
    assert kept.listed() == []
    kept.tend()
    assert not half.exists()


def test_the_age_outlives_its_agent(tmp_path: Path, agent: Agent, clock: Clock) -> None:
    kept = agent()
    kept.set_aside([home(tmp_path, "old")], INSTANCE, FIRST)
    pass_days(kept, clock, 1)
    (age,) = tmp_path.glob(f"*/{AGE}")
    assert json.loads(age.read_text()) == {"host": "n1", "seconds": DAY}
