"""What is read from files again: at once when they change, never worse than before, and never on the event loop."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from migrator import reloaded
from migrator.errors import SettingInvalid
from migrator.reloaded import Reloaded


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def number(path: Path) -> int:
    text = path.read_text()
    if not text.isascii():
        raise RuntimeError("which no reader foresaw")
    try:
        return int(text)
    except ValueError as error:
        raise SettingInvalid(f"{path} holds no number") from error


def test_a_change_is_seen_within_a_second_and_a_bad_one_changes_nothing_but_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "number", Clock()

    def latest(kept: Reloaded[int]) -> int:
        clock.now += 1
        return asyncio.run(kept.latest())

    path.write_text("1")
    kept = Reloaded([path], lambda: number(path), clock)
    path.write_text("22")
    assert asyncio.run(kept.latest()) == 1
    assert latest(kept) == 22
    for wrong, message in (("none", "holds no number"), ("é", "RuntimeError: which no reader foresaw")):
        path.write_text(wrong)
        assert [latest(kept), latest(kept)] == [22, 22]
        assert caplog.text.count(message) == 1
        assert caplog.text.count("what it said before stays in force") == 1
        caplog.clear()
    replacement = tmp_path / "new"
    replacement.write_text("333")
    os.replace(replacement, path)
    assert latest(kept) == 333
    path.unlink()
    assert latest(kept) == 333


def test_all_requests_wait_for_one_look_and_the_event_loop_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, go, readers = tmp_path / "number", Clock(), threading.Event(), list[threading.Thread]()
    path.write_text("1")

    def read() -> int:
        readers.append(threading.current_thread())
        assert len(readers) == 1 or go.wait(5)
        return number(path)

    kept = Reloaded([path], read, clock)
    path.write_text("22")
    clock.now += 1

    async def ask() -> list[int]:
        asked = [asyncio.ensure_future(kept.latest()) for _ in range(50)]
        await asyncio.sleep(0.01)
        asked[0].cancel()  # whose client has left
        assert not any(one.done() for one in asked[1:])
        go.set()
        return await asyncio.gather(*asked[1:])

    assert asyncio.run(ask()) == [22] * 49
    assert len(readers) == 2
    assert readers[1] is not threading.main_thread()
    monkeypatch.setattr(reloaded, "_PATIENCE_S", 0.01)
    go.clear()
    path.write_text("333")
    clock.now += 1
    assert asyncio.run(kept.latest()) == 22, "a disk that gives no answer holds no request up"
    go.set()


def test_what_cannot_be_read_at_first_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("x")
    with pytest.raises(SettingInvalid):
        Reloaded([tmp_path / "number"], lambda: number(tmp_path / "number"))
