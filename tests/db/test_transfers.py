"""What earlier transfers between two hosts reached; on both databases."""

from typing import Any

import pytest

from migrator.db import transfer_stats
from migrator.db.engine import Database
from tests.api import seed

MIB = 1024**2


def outcome(mib: int, seconds: float) -> dict[str, Any]:
    sent = {"memory_processed_bytes": mib * MIB - MIB, "disk_processed_bytes": MIB}
    return sent | {"elapsed_ms": seconds * 1000 + 60, "setup_ms": 20, "downtime_ms": 40}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([{"outcome": outcome(100, 2)}], 50),
        ([{"outcome": outcome(100, 2)}, {"outcome": outcome(300, 3)}, {"outcome": outcome(100, 4)}], 100),
        ([{"outcome": outcome(100, 0.4)}], None),
        ([{"outcome": None}], None),
        ([{"outcome": {"elapsed_ms": 5000}}], None),
        ([{"outcome": outcome(100, 2), "status": "failed"}], None),
        ([{"outcome": outcome(100, 2), "source": "n2", "destination": "n1"}], None),
        ([{"outcome": outcome(100, 2), "context": {"limit_mib_s": 52}}], None),
        ([{"outcome": outcome(100, 2), "context": {"limit_mib_s": 200}}], 50),
        ([{"outcome": outcome(100, 2), "steering": {"held": False, "released_at": 7.0}}], None),
        ([{"outcome": outcome(100, 2), "steering": {"bandwidth_mib_s": 0}}], None),
        ([{"outcome": outcome(100, 2), "steering": {"max_downtime_ms": 900, "force": True}}], 50),
    ],
)
def test_the_fastest_that_was_not_held_back(db: Database, rows: list[dict[str, Any]], expected: float | None) -> None:
    for row in rows:
        seed.migration(db, "00000000-0000-0000-0000-000000000001", **({"source": "n1", "destination": "n2"} | row))
    with db.read() as connection:
        found = transfer_stats.reached_mib_s(connection, "n1", "n2")
    assert found == (None if expected is None else pytest.approx(expected))
