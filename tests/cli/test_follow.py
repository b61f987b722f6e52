"""What a command that waits prints, by a server whose answers are given here."""

from typing import Any, cast

import pytest

from migrator.cli import follow
from migrator.cli.client import Client

_OPERATION = {"id": 1, "kind": "migration", "finished_at": None, "holds": True, "forward": True, "waiting": None}


class Answers:
    """A client of a server whose move is in these phases, and whose instance shows these percentages, look by look."""

    def __init__(self, looks: list[tuple[str, int]]) -> None:
        self._looks = looks

    def native(self, *_request: str, **_query: Any) -> dict[str, Any]:
        return {"operations": [_OPERATION | {"phase": self._looks[0][0]}]}

    def compute(self, *_request: str) -> dict[str, Any]:
        return {"server": {"progress": self._looks.pop(0)[1]}}


def test_the_progress_of_a_move_never_runs_backwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between two questions the move may come to its end: then the instance has no progress any more."""
    monkeypatch.setattr(follow, "_PAUSE_S", 0)
    looks = [("copy", 0), ("copy", 93), ("start", 100), ("record", 0), ("verify", 0)]
    assert follow.until_verified(cast(Client, Answers(looks)), "uuid", "migration", 0, "migrating") == 0
    shown = [line.strip() for line in capsys.readouterr().out.replace("\n", "\r").split("\r") if line.strip()]
    assert shown == [*(f"Server migrating... {percent}% complete" for percent in (0, 93, 100)), "Finished"]
