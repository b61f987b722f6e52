"""Every list is read by an index, in the order in which it is shown: no database scans a table or sorts one, whatever
is filtered for and however deep the page is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from migrator.db import events, instance_actions, instance_list, metrics, migration_list, operation_list, operations
from migrator.db.engine import Database
from migrator.db.instance_actions import ActionQuery
from migrator.db.instance_filters import InstanceQuery
from migrator.db.migration_list import MigrationQuery
from tests.api import seed

REQUEST = "req-1"
_OF_MOVES = ("status", "source", "destination", "kind", "instance_uuid", "user_id", "project_id")
_OF_INSTANCES = ("host", "user_id", "image_id", "key_name", "reservation_id", "availability_zone", "project_id")

LISTS: dict[str, Callable[[Connection, str], Any]] = {
    "os-migrations": lambda c, _: migration_list.page(c, MigrationQuery(limit=10)),
    "os-migrations, deep": lambda c, u: migration_list.page(c, MigrationQuery(limit=10, marker=u)),
    "os-migrations of a host": lambda c, _: migration_list.page(c, MigrationQuery(host="n", limit=10)),
    "os-migrations of a host, deep": lambda c, u: migration_list.page(c, MigrationQuery(host="n", limit=10, marker=u)),
    "os-migrations, oldest first": lambda c, _: migration_list.page(c, MigrationQuery(limit=10, newest_first=False)),
    "instance-actions": lambda c, u: instance_actions.page(c, u, ActionQuery(limit=10)),
    "instance-actions, deep": lambda c, u: instance_actions.page(c, u, ActionQuery(limit=10, marker=REQUEST)),
    "instance-action": lambda c, u: instance_actions.get(c, u, REQUEST),
    "operations": lambda c, _: operation_list.listed(c, None, None, 10),
    "operations, deep": lambda c, u: operation_list.listed(c, None, None, 10, u),
    "operations of an instance": lambda c, u: operation_list.listed(c, u, None, 10, u),
    "operations under way": lambda c, u: operation_list.listed(c, None, True, 10, u),
    "operations that are over": lambda c, u: operation_list.listed(c, None, False, 10, u),
    "a timeline": lambda c, _: events.of_operation(c, 1),
    "active operations": lambda c, _: operations.active_ids(c),
    "what has ended": lambda c, _: metrics.ended(c, (1.0, 1)),
    "servers": lambda c, _: instance_list.page(c, InstanceQuery(limit=10), detail=True),
    "servers, deep": lambda c, u: instance_list.page(c, InstanceQuery(limit=10, marker=u), detail=True),
    "servers by name": lambda c, u: instance_list.page(
        c, InstanceQuery(sort=[("display_name", "asc")], limit=10, marker=u), detail=False
    ),
    "servers by age": lambda c, u: instance_list.page(
        c, InstanceQuery(sort=[("created_at", "desc")], limit=10, marker=u), detail=False
    ),
} | {
    f"os-migrations by {column}": lambda c, u, column=column: migration_list.page(
        c, MigrationQuery(equal={column: "admin"}, limit=10, marker=u)
    )
    for column in _OF_MOVES
}
# Here what matches is sorted, but no more than that is read.
FILTERS: dict[str, InstanceQuery] = {
    **{f"servers by {column}": InstanceQuery(equal={column: "none"}, limit=10) for column in _OF_INSTANCES},
    "servers by vm_state": InstanceQuery(among={"vm_state": ["error", "paused"]}, limit=10),
    "servers by task_state": InstanceQuery(among={"task_state": ["x"]}, deleted=None, limit=10),
    "servers by power_state": InstanceQuery(among={"power_state": [7]}, deleted=None, limit=10),
    "servers by uuid": InstanceQuery(among={"uuid": ["x", "y"]}, limit=10),
    "servers that changed": InstanceQuery(changes_since=9e9, deleted=None, limit=10),
}


@contextmanager
def _noted(db: Database) -> Iterator[list[tuple[str, Any]]]:
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def plans(db: Database, read: Callable[[Connection, str], Any]) -> list[str]:
    """How the database answers each statement of ``read``, a line a step."""
    uuid = seed.instance(db, "a", uuid=seed.IMAGE)
    seed.migration(db, uuid, uuid=uuid, request_id=REQUEST)
    with _noted(db) as statements, db.read() as connection:
        read(connection, uuid)
    found: list[str] = []
    with db.engine.connect() as connection:
        if not db.is_sqlite:  # tables of the test's size are scanned unless that costs more than anything
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                connection.exec_driver_sql(f"SET {setting} = off")
        for statement, parameters in statements:
            explain = "EXPLAIN QUERY PLAN " if db.is_sqlite else "EXPLAIN "
            rows = connection.exec_driver_sql(explain + statement, parameters).all()
            found += [str(row[-1]) for row in rows]
    assert found
    return found


def _scans(db: Database, steps: list[str]) -> list[str]:
    if db.is_sqlite:
        return [step for step in steps if step.startswith("SCAN") and "USING" not in step and "listening" not in step]
    return [step for step in steps if "Seq Scan" in step]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_in_its_order(db: Database, name: str) -> None:
    steps = plans(db, LISTS[name])
    sorts = [step for step in steps if "TEMP B-TREE" in step or "Sort" in step.replace("Sort Key", "")]
    assert (_scans(db, steps), sorts) == ([], [])


def test_what_has_moved_lately_is_read_by_when_it_changed(db: Database) -> None:
    query = MigrationQuery(changes_since=9e9, limit=10)
    steps = plans(db, lambda connection, _: migration_list.page(connection, query))
    assert _scans(db, steps) == []
    assert any("ix_operations_moves_updated_at" in step for step in steps), steps
    if db.is_sqlite:
        assert not [step for step in steps if step.startswith("SCAN")], steps


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_matches_nothing_reads_nothing(db: Database, name: str) -> None:
    steps = plans(db, lambda connection, _: instance_list.page(connection, FILTERS[name], detail=True))
    assert _scans(db, steps) == []
    if db.is_sqlite:
        assert not [step for step in steps if step.startswith("SCAN")]
