"""The tables are held to what prettytable, which nova prints with, makes of the same cells."""

import prettytable
import pytest

from migrator.cli.follow import _Meter
from migrator.cli.listings import LISTINGS
from migrator.cli.tables import Column, properties, size, table

MIB = 1024**2


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"id": 1, "name": None}],
        [{"id": 1, "name": "a"}, {"id": 22, "name": "longer"}],
        [{"id": 1, "name": "東京-1"}, {"id": 2, "name": "cafe\u0301"}, {"id": 3, "name": "naïve"}],
    ],
)
def test_a_table_is_what_nova_prints(rows: list[dict[str, object]]) -> None:
    theirs = prettytable.PrettyTable(["ID", "Name"])
    theirs.align = "l"
    for row in rows:
        theirs.add_row([row["id"], "-" if row["name"] is None else row["name"]])
    assert table([Column("ID", "id"), Column("Name", "name")], rows) == theirs.get_string()


@pytest.mark.parametrize(
    ("status", "host_status", "shown"),
    [
        ("ACTIVE", "UP", "ACTIVE"),
        ("ACTIVE", "MAINTENANCE", "ACTIVE"),
        ("ACTIVE", "UNKNOWN", "UNKNOWN"),
        ("SHUTOFF", "DOWN", "UNKNOWN"),
        ("ERROR", "UNKNOWN", "ERROR"),
        ("BUILD", "", "BUILD"),
        ("ACTIVE", None, "ACTIVE"),
    ],
)
def test_a_server_on_a_silent_host_is_not_listed_as_active(status: str, host_status: str | None, shown: str) -> None:
    row = {"id": "1", "name": "a", "status": status, "OS-EXT-SRV-ATTR:host": "n1"}
    row |= {} if host_status is None else {"host_status": host_status}
    titles, values = (line.split("|") for line in table(LISTINGS["list"].columns, [row]).splitlines()[1:4:2])
    cells = {title.strip(): value.strip() for title, value in zip(titles, values, strict=True)}
    assert (cells["Status"], cells["Host"]) == (shown, "n1")


def test_properties_are_sorted_and_parts_are_json() -> None:
    shown = properties({"b": None, "a": {"x": 1}}).splitlines()
    assert shown[3:5] == ['| a        | {"x": 1} |', "| b        | -        |"]


def test_a_cell_cannot_break_the_table() -> None:
    assert len(properties({"fault": "one\r\ntwo"}).splitlines()) == 5


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * MIB, "3.0 MiB"), (2**41, "2.0 TiB")])
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size(count) == text


def _look(total: int, done: int, left: int) -> dict[str, int]:
    return {"memory_total_bytes": total, "memory_processed_bytes": done, "memory_remaining_bytes": left}


def test_the_meter_tells_bytes_rate_and_remaining_time() -> None:
    meter = _Meter()
    assert not meter.read({"memory_total_bytes": None}, 0.0)
    assert meter.read(_look(100 * MIB, 0, 100 * MIB), 1.0)
    assert meter.line().endswith(", -")
    assert meter.read(_look(100 * MIB, 20 * MIB, 80 * MIB), 3.0)
    assert meter.line() == "20.0 MiB of 100.0 MiB, 10.0 MiB/s, 8 s left"
    assert meter.percent == pytest.approx(20)
