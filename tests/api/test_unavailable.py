"""A database that is away, of an unknown kind or in a folder that is missing is told in one sentence, and so is a
server that has more to do than it can."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from migrator.api.process.admission import Admission, Kind, Limits
from migrator.cli import main
from migrator.db import engine
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.errors import DatabaseUnavailable, ServerBusy
from tests.api import seed
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
    for told in ("secret", "://", "127.0.0.1", "m.db", "unable to open"):
        assert told not in answer.text


def test_the_log_of_a_request_says_which_database_is_away_and_why(gone: Web, caplog: pytest.LogCaptureFixture) -> None:
    assert gone("GET", "/v2.1/servers").status_code == 503
    (line,) = [record.getMessage() for record in caplog.records if "cannot be used now" in record.getMessage()]
    assert "m.db cannot be used now: unable to open" in line or "://m:***@127.0.0.1" in line
    assert "secret" not in line


def test_no_path_of_a_database_that_is_held_is_told_to_who_changes_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE_S", 0.05)
    path = tmp_path / "m.db"
    upgrade(f"sqlite:///{path}")
    web = Web(Database(f"sqlite:///{path}"), tmp_path)
    uuid = seed.instance(web.db, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = web("PUT", f"/v2.1/servers/{uuid}", json={"server": {"name": "b"}})
    web.services.db.close()
    assert answer.status_code == 503
    assert answer.json()["computeFault"]["message"] == "the database cannot be used now"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/at/all/m.db", "there is no folder /nowhere/at/all (make it"),
        ("mysql://u:secret@h/m", "database = mysql://...: migrator keeps nothing there; expected sqlite:////PATH or p"),
        ("nonsense", "database: it names no kind of database; expected sqlite:////PATH or postgresql://"),
        ("u:secret@h", "database: it names no kind of database; expected"),
        ("u:secret@h://x", "database: it names no kind of database; expected"),
        ("sqlite://", "database = sqlite://...: migrator keeps nothing there; expected sqlite:////PATH"),
        ("sqlite:///", "database = sqlite:///: it names no file; expected sqlite:////PATH"),
        ("sqlite:///:memory:", "database = sqlite:///:memory:: a database in memory ends with its process; expected"),
        ("sqlite:///file:{tmp}/z?mode=memory", "database = sqlite:///file:{tmp}/z?mode=memory: a path is no URI"),
        ("sqlite:///{tmp}/z.db?timeout=x", "database = sqlite:///{tmp}/z.db?timeout=x: it takes no parameters"),
        ("sqlite:///{tmp}", "database = sqlite:///{tmp}: {tmp} is a folder"),
        ("sqlite:///{tmp}/" + "x" * 300 + "/m.db", "there is no folder {tmp}/xxx"),
        ("sqlite+aiosqlite:///{tmp}/z.db", "database = sqlite+aiosqlite://...: migrator keeps nothing there; expected"),
        ("sqlite+pysqlite:///{tmp}/z.db", "database = sqlite+pysqlite://...: migrator keeps nothing there; expected"),
        ("postgres://u:secret@h/x", "database = postgres://...: migrator keeps nothing there; expected"),
        ("postgresql+asyncpg://a@127.0.0.1:1/x", "database = postgresql+asyncpg://...: migrator keeps nothing there"),
        ("postgresql+psycopg2://a@h/x", "database = postgresql+psycopg2://...: migrator keeps nothing there"),
        (
            "postgresql://u:secret@127.0.0.1:1/x?foo=secret",
            'database = postgresql://u:***@127.0.0.1:1/x: invalid connection option "foo"; expected',
        ),
        ("postgresql://u@h/x?autocommit=1", 'invalid connection option "autocommit"; expected'),
        ("postgresql://u:secret", "database = postgresql://...: it cannot be read as a URL; expected"),
        ("postgresql://u:secret@h:x/m", "database = postgresql://...: it cannot be read as a URL; expected"),
        ("postgresql://u@/m?host=a:1,b&host=c:x", "database = postgresql://"),
        (
            "postgresql://u@/m?host=127.0.0.1,127.0.0.1&port=1,2,3",
            "database = postgresql://...: it cannot be read as a",
        ),
        ("postgresql://127.0.0.1:1/m?sslmode=x", "the database postgresql://127.0.0.1:1/m cannot be used now: "),
        ("postgresql://127.0.0.1:99999/m", "the database postgresql://127.0.0.1:99999/m cannot be used now: "),
        ("postgresql://u:secret@127.0.0.1:1/m", "the database postgresql://u:***@127.0.0.1:1/m cannot be used now: "),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/m", "the database postgresql://u:***@127.0.0.1:1/m cannot be used"),
    ],
)
@pytest.mark.parametrize("command", [["server"], ["db", "upgrade"], ["agent-credential", "one"]])
def test_a_start_says_what_is_wrong_with_the_database(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    url: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATOR_DATABASE", url.replace("{tmp}", str(tmp_path)))
    mode = tmp_path.stat().st_mode
    assert main.main(command) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("migrator: ")
    assert said.replace("{tmp}", str(tmp_path)) in error
    assert "secret" not in error
    assert (tmp_path.stat().st_mode, list(tmp_path.iterdir())) == (mode, []), "nothing was begun"


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
