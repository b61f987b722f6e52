"""What is read from files again: at once when they change, and never worse than before."""

import os
from pathlib import Path

import pytest

from migrator.errors import SettingInvalid
from migrator.reloaded import Reloaded


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def number(path: Path) -> int:
    try:
        return int(path.read_text())
    except ValueError as error:
        raise SettingInvalid(f"{path} holds no number") from error


def test_a_change_is_seen_within_a_second_and_a_bad_one_changes_nothing_but_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "number", Clock()
    path.write_text("1")
    kept = Reloaded([path], lambda: number(path), clock)
    path.write_text("22")
    assert kept.value == 1
    clock.now += 1
    assert kept.value == 22
    path.write_text("none")
    clock.now += 1
    assert kept.value == 22
    clock.now += 1
    assert kept.value == 22
    assert caplog.text.count("holds no number") == 1
    replacement = tmp_path / "new"
    replacement.write_text("333")
    os.replace(replacement, path)
    clock.now += 1
    assert kept.value == 333


def test_what_cannot_be_read_at_first_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("x")
    with pytest.raises(SettingInvalid):
        Reloaded([tmp_path / "number"], lambda: number(tmp_path / "number"))
