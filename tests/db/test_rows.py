"""The types of rows say what the queries answer with: the same columns, in the same order, of the same types."""

from collections.abc import Callable
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from sqlalchemy import JSON, Column, Select, event

from migrator.db import (
    aggregates,
    alarms,
    consoles,
    drain_rows,
    drains,
    guest_failures,
    host_domains,
    hosts,
    images,
    instances,
    key_pairs,
    leftovers,
    machines,
    neighbours,
    networks,
    operations,
    partial_rows,
    poll_groups,
    queues,
    recoveries,
    registrations,
    rows,
    server_groups,
    surveys,
    volumes,
    webhooks,
)
from migrator.db.engine import Connection, Database
from migrator.errors import MigratorError
from migrator.scheduler.queues import inbound

Ask = Callable[[Connection], object]
QUERIES: list[tuple[type, Ask]] = [
    (rows.HostRow, lambda c: hosts.get(c, "n1")),
    (rows.HostRow, lambda c: hosts.by_names(c, ["n1"])),
    (rows.HostRow, hosts.every),
    (rows.HostRow, lambda c: hosts.placeable(c, 1, 1, 1, 60.0, 5)),
    (rows.InstanceRow, lambda c: instances.get(c, "u")),
    (rows.InstanceRow, lambda c: instances.lock(c, "u")),
    (rows.InstanceRow, lambda c: instances.on_host(c, "n1")),
    (rows.OperationRow, lambda c: operations.get(c, 1)),
    (rows.OperationRow, lambda c: operations.get_many(c, [1])),
    (rows.OperationRow, lambda c: operations.active_of(c, "u")),
    (rows.OperationRow, lambda c: operations.active_of_instance(c, "u", lock=True)),
    (rows.OperationRow, lambda c: operations.active_on_host(c, "n1")),
    (rows.OperationRow, lambda c: operations.ids_by_uuid(c, ["u"])),
    (rows.ImageRow, lambda c: images.get(c, "i")),
    (rows.ImageRow, lambda c: images.several(c, ["i"])),
    (rows.ImageRow, images.without_virtual_size),
    (rows.AggregateRow, lambda c: aggregates.get(c, 1)),
    (rows.AggregateRow, aggregates.every),
    (rows.ServerGroupRow, lambda c: server_groups.get(c, "g")),
    (rows.ServerGroupRow, lambda c: server_groups.listed(c, "p", 1, 0)),
    (rows.ServerGroupRow, lambda c: neighbours.group_of(c, "u")),
    (rows.KeyPairRow, lambda c: key_pairs.get(c, key_pairs.Owner("p", "u"), "k")),
    (rows.KeyPairRow, lambda c: key_pairs.listed(c, key_pairs.Owner("p", "u"), None, None)),
    (rows.VolumeRow, lambda c: volumes.get(c, "v")),
    (rows.VolumeRow, volumes.every),
    (rows.NetworkRow, lambda c: networks.get(c, "lab")),
    (rows.NetworkRow, networks.every),
    (drain_rows.DrainRow, lambda c: drains.get(c, "1")),
    (drain_rows.DrainRow, lambda c: drains.listed(c, "n1", True, 1)),
    (drain_rows.DrainRow, lambda c: drains.active_of(c, ["n1"])),
    (drain_rows.DrainMoveRow, lambda c: drains.moves(c, 1)),
    (drain_rows.DrainMoveRow, drains.under_way),
    (drain_rows.DrainRow, lambda c: recoveries.listed(c, "n1", True, 1)),
    (drain_rows.RecoveryRow, lambda c: recoveries.of_drains(c, [1])),
    (rows.HostRow, lambda c: recoveries.silent(c, 60.0)),
    (drain_rows.GuestFailureRow, guest_failures.every),
    (drain_rows.HeardRow, drains.hosts_heard),
    (drain_rows.DrainEventRow, lambda c: drains.events(c, 1)),
    (rows.WebhookRow, webhooks.every),
    (rows.AlarmRow, lambda c: alarms.listed(c, host="n1")),
    (rows.AlarmRow, lambda c: alarms.listed(c, cleared=True)),
    (rows.CopyRow, lambda c: host_domains.of_instance(c, "u")),
    (partial_rows.ActiveRef, lambda c: operations.active_refs(c, "n1")),
    (partial_rows.ActiveRef, lambda c: operations.places_of(c, ["n1"])),
    (partial_rows.ActiveRef, operations.all_active_refs),
    (partial_rows.SpecRow, lambda c: instances.specs(c, ["u"])),
    (partial_rows.FactRow, lambda c: operations.facts_of(c, [1])),
    (partial_rows.RecordRow, lambda c: host_domains.records(c, "n1", ["u"])),
    (partial_rows.UnderWayRow, lambda c: host_domains.under_way(c, ["u"])),
    (partial_rows.StampingRow, lambda c: host_domains.stamping(c, ["u"])),
    (partial_rows.QueueRow, lambda c: queues.members(c, inbound.RULE, ["n1"])),
    (partial_rows.SurveyRow, lambda c: surveys.of_hosts(c, ["n1"])),
    (partial_rows.MachineRow, lambda c: machines.of(c, "n1")),
    (partial_rows.RegisteredRow, lambda c: registrations.known(c, ["n1"])),
    (partial_rows.LeftoverRow, lambda c: leftovers.records(c, "n1", ["u"])),
    (partial_rows.StayRow, lambda c: consoles.stays(c, "u")),
]
# Where a query leaves out the rows in which the column is NULL.
NEVER_NULL = {(partial_rows.QueueRow, "destination"), (partial_rows.PolledRecord, "host")}


@pytest.fixture
def asked(db: Database) -> Callable[[Ask], Select[Any]]:
    """The first query that a function sends."""
    sent: list[Any] = []

    def note(_connection: object, statement: object, *_: object) -> None:
        sent.append(statement)

    def ask(question: Ask) -> Select[Any]:
        with db.write() as connection:
            event.listen(connection.engine, "before_execute", note)
            try:
                question(connection)
            except MigratorError:
                pass  # there is no such row
            finally:
                event.remove(connection.engine, "before_execute", note)
        found = next(statement for statement in sent if isinstance(statement, Select))
        assert isinstance(found, Select)
        return found

    return ask


def _types(hint: Any) -> set[Any]:
    return set(get_args(hint)) if NoneType in get_args(hint) else {hint}


@pytest.mark.parametrize(("kind", "question"), QUERIES)
def test_a_row_has_the_columns_and_types_of_its_query(
    asked: Callable[[Ask], Select[Any]], kind: Any, question: Ask
) -> None:
    _compare(kind, asked(question))


def test_a_polled_record_has_the_columns_and_types_of_its_query() -> None:
    _compare(partial_rows.PolledRecord, poll_groups._RECORDS)


def _compare(kind: Any, query: Select[Any]) -> None:
    columns = list(query.selected_columns)
    assert [column.key for column in columns] == list(kind._fields)
    for column, (name, hint) in zip(columns, get_type_hints(kind).items(), strict=True):
        types = _types(hint)
        if not isinstance(column.type, JSON):
            assert types - {NoneType} == {column.type.python_type}, name
        if isinstance(column, Column) and (kind, name) not in NEVER_NULL:
            assert (NoneType in types) == bool(column.nullable), name


def test_every_type_of_rows_is_compared() -> None:
    compared = {kind.__name__ for kind, _ in QUERIES} | {"PolledRecord"}
    stated = {
        name for room in (rows, partial_rows, drain_rows) for name, one in vars(room).items() if hasattr(one, "_fields")
    }
    assert compared == stated
