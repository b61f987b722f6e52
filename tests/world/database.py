"""The database as the world sees it: its commits are boundaries, and its clock is the world's.

The clock needs no seam in the product: SQLite's ``julianday`` and PostgreSQL's ``clock_timestamp`` are shadowed by
functions of the same names. Worlds on SQLite share what was compiled of their statements: each has an engine of its
own, which would compile them all again, for a quarter of the time that a world takes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, event

from migrator.db.engine import Database
from tests.world.faults import Fault, Faults, Killed

_SHADOW = """CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
AS $$ SELECT pg_catalog.to_timestamp(pg_catalog.current_setting('world.now')::double precision) $$"""
_dialects: list[Dialect] = []  # SQLite's, of the first world: a compiled statement belongs to a dialect
_compiled: dict[Any, Any] = {}  # statement -> as it was compiled


class WorldDatabase(Database):
    def __init__(self, url: str, clock: Callable[[], float], faults: Faults) -> None:
        super().__init__(url)
        self._clock = clock
        self.faults = faults
        if self.is_sqlite:
            self.engine.dialect = (_dialects or [self.engine.dialect])[0]
            _dialects[:] = [self.engine.dialect]
            self.engine = self.engine.execution_options(compiled_cache=_compiled)
        else:
            with self.engine.begin() as connection:
                connection.exec_driver_sql(_SHADOW)
            self.engine.dispose()
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "checkout", self._checked_out)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
            fault = self.faults.arrive("server", "commit")
            if fault is Fault.KILL_BEFORE:
                raise Killed("server")
        if fault is Fault.KILL_AFTER:
            raise Killed("server")

    def _connected(self, connection: Any, _record: Any) -> None:
        if self.is_sqlite:
            connection.create_function("julianday", 1, lambda _: self._clock() / 86400.0 + 2440587.5)
            connection.execute("PRAGMA synchronous=OFF").close()
            return
        connection.execute("SET search_path = public, pg_catalog")
        connection.commit()

    def _checked_out(self, connection: Any, _record: Any, _proxy: Any) -> None:
        if not self.is_sqlite:
            connection.execute(f"SELECT set_config('world.now', '{self._clock()!r}', false)")
            connection.commit()
