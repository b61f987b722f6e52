"""The progress of a server that moves, as the source or the copy's destination counts it."""

import pytest

from migrator.db.tables import facts
from tests.api import seed
from tests.api.harness import Api


def _counted(done: int, total: int = 200) -> dict[str, int | bool]:
    return {
        "active": True,
        "disk_total_bytes": total,
        "disk_processed_bytes": done,
        "disk_remaining_bytes": total - done,
    }


@pytest.mark.parametrize(("counters", "percent"), [(_counted(0), 0), (_counted(86), 43), (_counted(200), 100)])
def test_progress_counts_the_bytes_of_the_copy(api: Api, counters: dict[str, int], percent: int) -> None:
    uuid = seed.instance(api.db, "a", task_state="resize_migrating")
    key = seed.migration(api.db, uuid, "migrating", kind="migration", phase="copy")
    assert api("GET", f"/servers/{uuid}").json["server"]["progress"] == 0
    seed.job(api.db, key, "compute1", _counted(1))
    seed.job(api.db, key, "compute2", counters)
    assert api("GET", f"/servers/{uuid}").json["server"]["progress"] == percent
    (listed,) = api("GET", "/servers/detail").json["servers"]
    assert listed["progress"] == percent


def test_progress_of_a_live_migration_is_the_sources_word(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    key = seed.migration(api.db, uuid, "running")
    sent_again = {"memory_total_bytes": 100, "memory_processed_bytes": 300, "memory_remaining_bytes": 25}
    seed.job(api.db, key, "compute1", sent_again)
    assert api("GET", f"/servers/{uuid}").json["server"]["progress"] == 75


def test_a_cold_move_is_not_among_the_live_ones(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="resize_migrating")
    key = seed.migration(api.db, uuid, "migrating", kind="migration", phase="copy")
    assert api("GET", f"/servers/{uuid}/migrations").json == {"migrations": []}
    answer = api("GET", f"/servers/{uuid}/migrations/{key}")
    assert (answer.status, answer.message) == (404, f"Migration {key} for server {uuid} is not live-migration.")
    (record,) = api("GET", "/os-migrations?migration_type=migration").json["migrations"]
    assert "links" not in record


def test_a_copy_that_is_through_does_not_fall_back_to_nothing(api: Api) -> None:
    """The record of the server is read a moment before the counters, which are gone when the next phase begins."""
    uuid = seed.instance(api.db, "a", task_state="resize_migrating")
    key = seed.migration(api.db, uuid, "post-migrating", kind="migration", phase="start", outcome=_counted(200))
    with api.db.write() as connection:
        values = {"host": "compute2", "epoch": 1, "phase": "start", "incarnation": 1, "sequence": 9}
        connection.execute(facts.insert().values(operation_id=key, received_at=0, body={"job": None}, **values))
    assert api("GET", f"/servers/{uuid}").json["server"]["progress"] == 100
