"""Text of others in a terminal and in a log: nothing hidden in it arrives there, and what people write does."""

import io
import json
import logging
from typing import Any

import pytest
from rich.console import Console

from migrator.cli import follow, output
from migrator.cli.moves import timeline_text
from migrator.cli.preflight import matrix
from migrator.cli.tables import as_json, properties
from migrator.errors import Conflict
from migrator.logs import JsonLines
from migrator.untrusted import printable

HIDDEN = "\x1b\x9b\r\n\x00\x07\x7f\u202e\u2066\u200b\u2028\u2029\ufeff\ufffe\ud800\U000e0041"
EVIL = f"web{HIDDEN}[31m"


def hidden(text: str, *, lines: int = 1) -> set[str]:
    """What must not be in it, besides the ends of so many lines of ours."""
    found = {character for character in text if character in HIDDEN and character != "\n"}
    return found | ({"\n"} if text.count("\n") >= lines else set())


def test_names_that_people_write_stay_as_they_are() -> None:
    for name in ("web-1", "Übung", "日本語", "имя", "a\\b", "a\u00a0b", "🙂", "ﷺ"):
        assert printable.escaped(name) == name
    assert printable.escaped("\x1b[2J\u202e\r\n") == "\\x1b[2J\\u202e\\r\\n"


@pytest.mark.parametrize("character", HIDDEN)
def test_nothing_hidden_is_left_and_json_says_the_same_as_before(character: str) -> None:
    assert printable.escaped(character) != character
    assert printable.escaped(character).isascii()
    written = printable.as_json({"name": character})
    assert not hidden(written)
    assert json.loads(written) == {"name": character}


def test_tables_and_json_of_the_command_line() -> None:
    drawn = properties({"name": EVIL, EVIL: {"metadata": EVIL}})
    assert not hidden(drawn, lines=6)
    assert len({len(line) for line in drawn.split("\n")}) == 1, "the table is straight"
    assert not hidden(as_json([{"name": EVIL}]), lines=5)


def test_a_timeline_and_a_preflight() -> None:
    operation = {"kind": "live-migration", "id": 1, "instance": EVIL, "status": "error", "waiting": EVIL}
    operation |= {"source": EVIL, "destination": EVIL, "error": {"message": EVIL}, "evidence": EVIL}
    event = {"offset_ms": 0, "name": EVIL, "phase": EVIL, "host": EVIL, "epoch": 1, "message": EVIL, "details": {}}
    drawn = timeline_text({"operation": operation, "events": [event]})
    assert not hidden(drawn, lines=9)
    check = {"code": "up", "status": "failed", "message": EVIL, "advice": EVIL}
    found = {"server": {"name": EVIL, "id": "i", "host": EVIL}, "hosts": [{"host": EVIL, "checks": [check]}]}
    assert not hidden(matrix(found), lines=7)


def test_sentences_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(EVIL)
    output.fail_with(Conflict(EVIL, advice=EVIL))
    follow._Line("migrating").show(10, EVIL)
    said = capsys.readouterr()
    assert not hidden(said.out.replace("\rServer", "Server"), lines=2)
    assert not hidden(said.err, lines=2)


def test_the_bar_of_a_move_takes_no_markup_and_nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=400)
    monkeypatch.setattr(follow, "Console", lambda **_: console)
    looks: list[dict[str, Any]] = [
        {"kind": "delete", "id": 2, "finished_at": None, "holds": True, "forward": True}
        | {"phase": "x", "waiting": f"[/x][red]{EVIL}"},
        {"kind": "delete", "id": 2, "finished_at": "now", "status": "completed"},
    ]
    monkeypatch.setattr(follow, "_find", lambda *_: looks.pop(0))
    assert follow.until_over(None, "i", "delete", 1, EVIL) == 0  # type: ignore[arg-type]
    assert "[/x][red]web" in drawn.getvalue()
    assert "\x1b[31m" not in drawn.getvalue()
    assert not {"\x9b", "\x00", "\u202e", "\u2028"} & set(drawn.getvalue())


def test_a_line_of_the_log_is_one_line_whatever_is_in_it() -> None:
    record = logging.LogRecord(EVIL, logging.INFO, "", 1, "agent said %s", (EVIL,), None)
    record.host = EVIL
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    line = JsonLines().format(record)
    assert not hidden(line)
    assert json.loads(line)["message"] == f"agent said {EVIL}"
    assert json.loads(line)["host"] == EVIL
