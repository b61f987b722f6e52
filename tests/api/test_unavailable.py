"""A database that is away, of an unknown kind or in a folder that is missing is told in one sentence, and so is a
server that has more to do than it can."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.api.process.admission import Admission, Kind, Limits
from migrator.cli import main
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.errors import DatabaseUnavailable, ServerBusy
from tests.api.harness import Web
from tests.ports import free_port


@pytest.fixture(params=["sqlite", "postgresql"])
def gone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Web]:
    """A server whose database went away after its start."""
    folder = tmp_path / "db"
    folder.mkdir()
    sqlite, nobody = f"sqlite:///{folder}/m.db", f"postgresql://m:secret@127.0.0.1:{free_port()}/m"
    web = Web(Database(sqlite if request.param == "sqlite" else nobody), tmp_path)
    shutil.rmtree(folder)
    yield web
    web.services.db.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2.1/servers"),
        ("POST", "/v2.1/flavors/1/action"),
        ("GET", "/v1/operations"),
        ("GET", "/metrics"),
        ("GET", "/image/v2/images"),
        ("GET", "/agent/v1/hosts/one/questions"),
    ],
)
def test_each_request_is_answered_with_503_and_when_to_ask_again(gone: Web, method: str, path: str) -> None:
    body = {"addTenantAccess": {"tenant": "t"}} if method == "POST" else None
    answer = gone(method, path, headers={"Authorization": "Bearer x"}, json=body)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "cannot be used now" in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all/m.db", "there is no folder /nowhere/at/all (make it"),
        ("mysql://u:secret@h/m", "database = h/m: expected sqlite:////PATH or postgresql://"),
        ("nonsense", "database = nonsense: expected sqlite:////PATH or postgresql://"),
        ("postgresql://u:secret@127.0.0.1:1/m", "the database postgresql+psycopg://u:***@127.0.0.1:1/m cannot be used"),
    ],
)
@pytest.mark.parametrize("command", [["server"], ["db", "upgrade"], ["agent-credential", "one"]])
def test_a_start_says_what_is_wrong_with_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], url: str, said: str
) -> None:
    monkeypatch.setenv("MIGRATOR_DATABASE", url)
    assert main.main(command) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("migrator: ")
    assert said in error
    assert "secret" not in error


def test_an_upgrade_of_a_database_that_is_away_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_text("no database at all, but long enough to be looked at" * 100)
    with pytest.raises(DatabaseUnavailable, match="file is not a database"):
        upgrade(f"sqlite:///{tmp_path}/m.db")


def test_who_finds_very_many_waiting_is_sent_away_at_once() -> None:
    async def crowd() -> list[str]:
        admission, go = Admission({"polls": Limits(1, 2)}), threading.Event()
        asked = [asyncio.create_task(admission.run(f"n{n}", Kind.POLL, go.wait)) for n in range(3)]
        while admission.lanes["polls"].waiting != 2:
            await asyncio.sleep(0.001)
        with pytest.raises(ServerBusy) as refused, admission.entered("n4", Kind.POLL):
            pass
        late = asyncio.create_task(admission.run("n4", Kind.POLL, go.wait))  # who was let in is served
        go.set()
        assert await asyncio.gather(*asked, late) == [True] * 4
        with admission.entered("n4", Kind.POLL):
            assert await admission.run("n4", Kind.POLL, lambda: 7) == 7
        return [refused.value.code] if refused.value.retry_after_s > 0 else []

    assert asyncio.run(crowd()) == ["server_busy"]
