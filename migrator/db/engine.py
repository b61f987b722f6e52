"""Opens the database: SQLite (WAL) embedded, or PostgreSQL. Owns pragmas, pool sizes and the two kinds of transaction.

On PostgreSQL two transactions that lock rows in opposite orders end in an error for one of them. So every transaction
takes its locks in one order: the project's (``quotas.hold``) before any row; then table by table, and within a table by
key: ``operations``, ``hosts``, ``aggregates``, ``server_groups``, ``networks``, ``claims``, ``instances``, ``volumes``,
``ports``, ``copies``, ``facts``, ``drains``, ``drain_moves``, ``alarms``; ``events`` and ``drain_events`` are only
added. A build adds its ports before it takes volumes: no other transaction knows rows that are new, and no address is
given that an older port may still have. ``flavors``, ``key_pairs`` and ``quotas`` are locked in transactions that lock
nothing after them. A host's heartbeat is put off to the transaction's end (``put_off``), for every transaction about a
host wants its row.

A write transaction on SQLite begins IMMEDIATE, so that it never fails half way with "database is locked". Its writers
of one process queue up before they ask SQLite, which would let them sleep and look again instead of waking the next.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import ConnectionPoolEntry

from migrator.db import database_url
from migrator.errors import DatabaseUnavailable
from migrator.private_files import FILE, narrow, narrow_folder

__all__ = ["Connection", "Database"]

_LATE = "migrator_late"  # in a connection's info: what ``put_off`` was given
_CONNECT_S = 5  # to a PostgreSQL server
_SAMPLE = 1000  # rows of an index
_BRIEF_MS = 100  # for readers, before the write-ahead log is emptied
_BESIDE = ("", "-wal", "-shm", "-journal")  # a database of SQLite, and what it makes beside it
_PATIENCE_S = 30.0  # for another writer on SQLite: of this process, and then of all of them


def _dumps(value: Any) -> str:
    text = orjson.dumps(value).decode()
    # PostgreSQL keeps a NUL in JSON, and then fails to read any field beside it.
    return orjson.dumps(_without_nul(value)).decode() if r"\u0000" in text else text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(inner) for key, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, (list, tuple)) else value


class Database:
    """One engine, and ``read()`` and ``write()`` to use it. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Raises SettingInvalid."""
        self.url = url
        self.engine = _make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = threading.Lock()
        self._erasing = True  # an earlier process may have ended before it did

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for SELECTs, on autocommit: each statement sees the newest committed rows."""
        with _translated_errors(self.engine), _opened(self.engine) as connection:
            if not self.is_sqlite:  # there only ``write`` says BEGIN
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back on any exception."""
        if not self.is_sqlite:
            with (
                _translated_errors(self.engine),
                _opened(self.engine) as connection,
                connection.begin(),
                _late(connection),
            ):
                yield connection
            return
        with self._turn(), _translated_errors(self.engine), _opened(self.engine) as connection, connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with _late(connection):
                yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Only a queue: a writer that waited in vain asks SQLite all the same, whose lock is the one that guards."""
        mine = self._writing.acquire(timeout=_PATIENCE_S)
        try:
            yield
        finally:
            if mine:
                self._writing.release()

    def analyze(self) -> None:
        """Tell SQLite how the rows are distributed, from a sample, so that it takes the right index; PostgreSQL looks
        on its own."""
        if self.is_sqlite:
            with self.write() as connection:
                connection.exec_driver_sql(f"PRAGMA analysis_limit={_SAMPLE}")
                connection.exec_driver_sql("ANALYZE")

    def narrow_folder(self) -> None:
        """Of SQLite's file: who may write there can put another one in its place. Once a start, for it may warn."""
        if self.is_sqlite:
            path = Path(str(self.engine.url.database))
            ours = [path.name + beside for beside in _BESIDE]
            narrow_folder(f"the folder {path.parent} of the database", path.parent, ours)

    def erase_later(self) -> None:
        """Something secret was deleted."""
        self._erasing = True

    def erase(self) -> None:
        """After ``erase_later``: no file of SQLite's holds what was deleted before; while a reader is active, the next
        call tries again. PostgreSQL keeps dead rows until autovacuum removes them."""
        if not (self.is_sqlite and self._erasing):
            return
        self._erasing, done = False, False
        try:
            with self._turn(), _translated_errors(self.engine), _opened(self.engine) as connection:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_BRIEF_MS}")  # writers wait for so long
                busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
                connection.exec_driver_sql(f"PRAGMA busy_timeout={_PATIENCE_S * 1000:.0f}")
                done = not busy
        finally:
            self._erasing = self._erasing or not done

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _translated_errors(engine: Engine) -> Iterator[None]:
    """What the driver says of a database that is away, full or overloaded, in one sentence."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolExhausted) as error:
        raise _unavailable(engine, error) from error
    except DatabaseError as error:
        if type(error) is DatabaseError:  # such as a file that is no database
            raise _unavailable(engine, error) from error
        raise


def _opened(engine: Engine) -> Connection:
    """Whatever class the driver's error has, nothing was asked of the database yet."""
    try:
        return engine.connect()
    except DBAPIError as error:
        raise _unavailable(engine, error) from error


def _unavailable(engine: Engine, error: Exception) -> DatabaseUnavailable:
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    message = said[0] if said else type(error).__name__
    return DatabaseUnavailable(
        "the database cannot be used now",
        cause=f"the database {database_url.without_password(engine.url)} cannot be used now: {message}",
        advice="look whether it runs, and has room; the setting `database` says where it is",
    )


def put_off(connection: Connection, act: Callable[[], object]) -> None:
    """Do it as the last thing of the write transaction; at once where there is none."""
    late = connection.info.get(_LATE)
    if late is None:
        act()
    else:
        late.append(act)


@contextmanager
def _late(connection: Connection) -> Iterator[None]:
    late: list[Callable[[], object]] = []
    info = connection.info  # kept, for a connection that was lost refuses to give it, and hides why it was lost
    info[_LATE] = late
    try:
        yield
        for act in late:
            act()
    finally:
        info.pop(_LATE, None)


def _make_engine(setting: str) -> Engine:
    url = database_url.parse(setting)
    if url.drivername == "sqlite":
        _keep_private(str(url.database))
        engine = create_engine(
            url,
            connect_args={"timeout": _PATIENCE_S, "check_same_thread": False},
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            pool_size=16,
            max_overflow=32,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    return create_engine(
        url,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_size=16,
        max_overflow=16,
        pool_pre_ping=True,
        # Without the encoding psycopg takes the database's own, and of SQL_ASCII it gives bytes for text.
        connect_args={"connect_timeout": _CONNECT_S, "client_encoding": "utf8"},
    )


def _keep_private(name: str) -> None:
    """SQLite gives what it makes beside a database the database's own mode."""
    with contextlib.suppress(OSError):  # SQLite says it better
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, FILE))
    narrow(f"the database {name}", [(Path(name + beside), FILE) for beside in _BESIDE])


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    patience = f"busy_timeout={_PATIENCE_S * 1000:.0f}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", patience):
        connection.execute(f"PRAGMA {pragma}").close()
