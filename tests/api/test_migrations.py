"""os-migrations and a server's migrations over HTTP."""

import pytest
from sqlalchemy import select

from migrator.db.tables import events, operations
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import NOBODY

_LISTED = {
    "id",
    "source_compute",
    "dest_compute",
    "source_node",
    "dest_node",
    "dest_host",
    "instance_uuid",
} | {
    "old_instance_type_id",
    "new_instance_type_id",
    "status",
    "created_at",
    "updated_at",
}
_OF_SERVER = {
    "created_at",
    "dest_compute",
    "dest_host",
    "dest_node",
    "id",
    "server_uuid",
    "source_compute",
} | {
    "source_node",
    "status",
    "updated_at",
    *(f"{what}_{part}_bytes" for what in ("disk", "memory") for part in ("processed", "remaining", "total")),
}


def test_fields_grow_with_the_microversion(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    seed.migration(api.db, uuid)
    expected = set(_LISTED)
    for version, added in (
        ("2.1", set[str]()),
        ("2.23", {"migration_type"}),
        ("2.59", {"uuid"}),
        ("2.80", {"user_id", "project_id"}),
    ):
        expected |= added
        (shown,) = api("GET", "/os-migrations", version).json["migrations"]
        assert set(shown) == expected, version
    assert (shown["dest_host"], shown["old_instance_type_id"]) == ("10.0.0.2", 1)
    assert shown["created_at"] == "2026-09-21T14:13:20.000000"


def test_links_only_while_it_can_be_looked_at(api: Api) -> None:
    running = seed.migration(api.db, seed.instance(api.db, "a"), "running")
    seed.migration(api.db, seed.instance(api.db, "b"), "accepted")
    seed.migration(api.db, seed.instance(api.db, "c"))
    shown = {m["status"]: m for m in api("GET", "/os-migrations", "2.23").json["migrations"]}
    assert [status for status, migration in shown.items() if "links" in migration] == ["running"]
    at = f"servers/{shown['running']['instance_uuid']}/migrations/{running}"
    assert [link["href"] for link in shown["running"]["links"]] == [
        f"http://testserver/v2.1/{at}",
        f"http://testserver/{at}",
    ]
    assert "links" not in api("GET", "/os-migrations", "2.1").json["migrations"][0]


def test_filters(api: Api) -> None:
    first, second = seed.instance(api.db, "a"), seed.instance(api.db, "b")
    seed.migration(api.db, first, "completed")
    seed.migration(api.db, second, "failed", source="compute2", destination="compute3", user_id="u", project_id="p")
    seed.migration(api.db, second, kind="build", moves=False)
    for query, ids in (
        ("", [2, 1]),
        ("host=compute2", [2, 1]),
        ("host=compute3", [2]),
        ("source_compute=compute1", [1]),
        ("status=failed", [2]),
        (f"instance_uuid={first}", [1]),
        (f"instance_uuid={NOBODY}", []),
        ("migration_type=live-migration", [2, 1]),
        ("migration_type=nosuch", []),
        ("hidden=False", [2, 1]),
        ("user_id=u&project_id=p", [2]),
        ("changes-since=2026-09-21T14:13:24Z", []),
        ("changes-before=2026-09-21T14:13:24Z", [2, 1]),
    ):
        assert [m["id"] for m in api("GET", f"/os-migrations?{query}").json["migrations"]] == ids, query
    old = api("GET", "/os-migrations?foo=bar&limit=1&marker=abc", "2.58").json["migrations"]
    assert [m["id"] for m in old] == [1, 2], "no paging below 2.59, the oldest first"


def test_pages(api: Api) -> None:
    for number in range(5):
        seed.migration(api.db, seed.instance(api.db, "a"), created_at=seed.BEGAN + number // 2)
    found: list[int] = []
    path = "/os-migrations?limit=2"
    while path:
        page = api("GET", path, "2.59").json
        found += [m["id"] for m in page["migrations"]]
        links = page.get("migrations_links")
        path = links[0]["href"].split("/v2.1")[1] if links else ""
    assert found == [5, 4, 3, 2, 1]
    assert api("GET", "/os-migrations?limit=0").json == {"migrations": []}


@pytest.mark.parametrize(
    ("version", "query", "text"),
    [
        (
            "2.59",
            "limit=-1",
            "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'",
        ),
        ("2.59", "marker=abc", "Marker abc could not be found."),
        ("2.59", "user_id=x", "Additional properties are not allowed ('user_id' was unexpected)"),
        ("2.59", "changes-before=2026-11-22T00:00:00Z", "('changes-before' was unexpected)"),
        (
            "2.59",
            "changes-since=bad",
            "Invalid input for query parameters changes-since. Value: bad. 'bad' is not a",
        ),
        ("2.96", "foo=bar", "Additional properties are not allowed ('foo' was unexpected)"),
    ],
)
def test_refusals(api: Api, version: str, query: str, text: str) -> None:
    answer = api("GET", f"/os-migrations?{query}", version)
    assert answer.status == 400
    assert text in answer.message


def test_for_administrators(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    assert api("GET", "/os-migrations").message == (
        "Policy doesn't allow os_compute_api:os-migrations:index to be performed."
    )
    assert api("GET", f"/servers/{uuid}/migrations").message == (
        "Policy doesn't allow os_compute_api:servers:migrations:index to be performed."
    )


# --- a server's migrations --------------------------------------------------------------------------------------


def test_in_progress(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    seed.migration(api.db, uuid)
    key = seed.migration(api.db, uuid, "running")
    at = f"/servers/{uuid}/migrations"
    assert api("GET", at, "2.22").status == 404
    expected = set(_OF_SERVER)
    for version, added in (("2.23", set[str]()), ("2.59", {"uuid"}), ("2.80", {"user_id", "project_id"})):
        expected |= added
        (listed,) = api("GET", at, version).json["migrations"]
        shown = api("GET", f"{at}/{key}", version).json["migration"]
        assert listed == shown
        assert set(shown) == expected, version
        assert shown["memory_total_bytes"] is None
    seed.job(api.db, key, "compute1", {"active": True, "memory_total_bytes": 9, "disk_remaining_bytes": 4})
    shown = api("GET", f"{at}/{key}").json["migration"]
    assert (shown["memory_total_bytes"], shown["disk_remaining_bytes"]) == (9, 4)
    seed.job(api.db, key, "compute1", {"active": True, "memory_total_bytes": 9, "disk_remaining_bytes": 0})
    shown = api("GET", f"{at}/{key}").json["migration"]
    assert (shown["memory_total_bytes"], shown["disk_remaining_bytes"]) == (9, None)


def test_not_in_progress(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    key = seed.migration(api.db, uuid)
    at = f"/servers/{uuid}/migrations"
    assert api("GET", at).json == {"migrations": []}
    for ident, text in (
        (str(key), f"Live migration {key} for server {uuid} is not in progress."),
        ("99999", f"In-progress live migration 99999 is not found for server {uuid}."),
        ("²", f"In-progress live migration ² is not found for server {uuid}."),
        ("abc", f"In-progress live migration abc is not found for server {uuid}."),
    ):
        answer = api("GET", f"{at}/{ident}")
        assert (answer.status, answer.message) == (404, text)


@pytest.mark.parametrize(
    ("version", "status", "answer"),
    [
        ("2.24", "running", 202),
        ("2.64", "queued", 400),
        ("2.64", "preparing", 400),
        ("2.65", "queued", 202),
        ("2.65", "preparing", 202),
        ("2.65", "accepted", 202),
        ("2.65", "post-migrating", 400),
    ],
)
def test_abort(api: Api, version: str, status: str, answer: int) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    phase = {"post-migrating": "cleanup", "accepted": "inspect", "queued": "claim", "preparing": "prepare"}
    key = seed.migration(api.db, uuid, status, phase=phase.get(status, "transfer"), user_id="u", project_id="p")
    found = api("DELETE", f"/servers/{uuid}/migrations/{key}", version)
    assert found.status == answer
    actions = api("GET", f"/servers/{uuid}/os-instance-actions").json["instanceActions"]
    who = [(action["action"], action["user_id"], action["project_id"]) for action in actions]
    if answer == 202:
        assert who == [("live_migration_cancel", "admin", "admin"), ("live-migration", "u", "p")]
    else:
        assert who == [("live-migration", "u", "p")]
        assert found.message == (
            f"Migration {key} state of instance {uuid} is {status}. "
            "Cannot abort live migration while the migration is in this state."
        )


def test_abort_refusals(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    key = seed.migration(api.db, uuid)
    finished = api("DELETE", f"/servers/{uuid}/migrations/{key}", "2.24")
    assert (finished.status, finished.message) == (
        409,
        f"Instance {uuid} is in an invalid state for 'abort live migration'",
    )
    unknown = api("DELETE", f"/servers/{uuid}/migrations/99999")
    assert (unknown.status, unknown.message) == (404, f"Migration 99999 not found for instance {uuid}")
    assert api("DELETE", f"/servers/{uuid}/migrations/{key}", "2.23").status == 404
    assert api("DELETE", f"/servers/{NOBODY}/migrations/{key}").status == 404


def test_past_the_point_of_no_return(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    key = seed.migration(api.db, uuid, "running", phase="cleanup")
    assert api("DELETE", f"/servers/{uuid}/migrations/{key}").status == 409


def test_force_complete(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    at = f"/servers/{uuid}/migrations/{seed.migration(api.db, uuid, 'running')}/action"
    assert api("POST", at, body={"force_complete": None}).status == 202
    with api.db.read() as connection:
        row = connection.execute(select(operations.c.steering, operations.c.generation)).one()
        said = connection.execute(select(events.c.message).where(events.c.name == "force")).scalar_one()
    assert row == ({"force": True}, 4), "the generation rises, so that the agent hears of it"
    assert said == "completion forced: True, on request of admin"
    actions = api("GET", f"/servers/{uuid}/os-instance-actions").json["instanceActions"]
    assert [action["action"] for action in actions] == ["live_migration_force_complete", "live-migration"]
    assert api("POST", at, body={"nosuch": None}).message == "There is no such action: nosuch"
    unknown = api("POST", f"/servers/{uuid}/migrations/99999/action", body={"force_complete": None})
    assert (unknown.status, unknown.message) == (400, f"Migration 99999 not found for instance {uuid}")
    assert api("POST", at, "2.21", {"force_complete": None}).status == 404


@pytest.mark.parametrize(
    ("status", "task_state", "expected"),
    [
        ("queued", "migrating", (400, "Cannot force_complete while the migration is in this state.")),
        ("preparing", "migrating", (400, "Cannot force_complete while the migration is in this state.")),
        ("running", None, (409, "is in an invalid state for 'force_complete'")),
        ("completed", "migrating", (409, "is in an invalid state for 'force_complete'")),
    ],
)
def test_what_cannot_be_forced(api: Api, status: str, task_state: str | None, expected: tuple[int, str]) -> None:
    uuid = seed.instance(api.db, "a", task_state=task_state)
    key = seed.migration(api.db, uuid, status)
    answer = api("POST", f"/servers/{uuid}/migrations/{key}/action", body={"force_complete": None})
    assert (answer.status, answer.message.endswith(expected[1])) == (expected[0], True), answer.message


def test_only_a_transfer_that_goes_on_is_forced(api: Api) -> None:
    uuid = seed.instance(api.db, "a", task_state="migrating")
    key = seed.migration(api.db, uuid, "running", cancel_requested=True)
    answer = api("POST", f"/servers/{uuid}/migrations/{key}/action", body={"force_complete": None})
    assert (answer.status, answer.message) == (409, f"Instance {uuid} is in an invalid state for 'force_complete'")
