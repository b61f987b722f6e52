"""Databases for every test that touches SQL: each such test runs on SQLite and on PostgreSQL."""

import gc
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from migrator.db import engine
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from tests import postgres


def pytest_collection_finish() -> None:
    """What was imported stays until the end, and is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """A statement that one test's engine compiled is compiled for all: SQLAlchemy keeps the texts by dialect, and
    makes a new dialect for each engine, which here is one for each test."""
    first: dict[str, Engine] = {}
    make = engine._make_engine

    def made(url: str) -> Engine:
        one = make(url)
        same = first.setdefault(one.dialect.name, one)
        if same.dialect.server_version_info is None:  # it never connected, and does not know its database yet
            first[one.dialect.name] = one
            return one
        one.dialect, one._compiled_cache = same.dialect, same._compiled_cache
        return one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_make_engine", made)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with postgres.running() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE template_migrator")
        upgrade(url.rsplit("/", 1)[0] + "/template_migrator")
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


def sqlite_url(template: Path, folder: Path) -> str:
    """Of a copy of the template in the folder."""
    path = folder / "migrator.db"
    shutil.copy(template, path)  # with its mode: a database is its user's alone
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database at the newest revision, empty, this test's own."""
    if request.param == "sqlite":
        yield sqlite_url(request.getfixturevalue("sqlite_template"), tmp_path)
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_migrator")
    yield server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
