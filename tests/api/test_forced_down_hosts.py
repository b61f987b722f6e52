"""What forcing a host down and up again has to do with its evacuations, over HTTP."""

import pytest
from sqlalchemy import select, update

from migrator.db.tables import hosts, operations
from tests.api import seed
from tests.api.action_requests import evacuate
from tests.api.harness import Api


def service_id(api: Api, name: str) -> str:
    (found,) = (s for s in api("GET", "/os-services").json["services"] if s["host"] == name)
    return str(found["id"])


@pytest.mark.parametrize("status", ["done", "pre-migrating"])
def test_a_host_is_not_forced_up_while_it_owes(lost: tuple[Api, str], status: str) -> None:
    api, uuid = lost
    locks_instance, phase = (False, "cleanup") if status == "done" else (True, "rebuild")
    hosts = {"source": "compute3", "destination": "compute1"}
    key = seed.migration(api.db, uuid, status, kind="evacuation", phase=phase, locks_instance=locks_instance, **hosts)
    text = (
        f"Unable to force up host compute3 as `{status}` evacuation migration records remain associated with the host. "
        "Ensure the compute service has been restarted, allowing these records to move to `completed` before retrying "
        "this request."
    )
    at = f"/os-services/{service_id(api, 'compute3')}"
    old = {"host": "compute3", "binary": "nova-compute", "forced_down": False}
    for path, version, body in ((at, "2.67", {"forced_down": False}), ("/os-services/force-down", "2.13", old)):
        answer = api("PUT", path, version, body)
        assert (answer.status, answer.message) == (400, text)
    assert api("PUT", at, "2.67", {"forced_down": True}).status == 200, "down it may be told to be"
    assert api("PUT", at, "2.67", {"status": "disabled"}).json["service"]["forced_down"] is True
    (listed,) = (s for s in api("GET", "/os-services").json["services"] if s["host"] == "compute3")
    assert (listed["forced_down"], listed["state"], listed["status"]) == (True, "down", "disabled")
    with api.db.write() as connection:
        done = {"active": False, "status": "completed"}
        connection.execute(update(operations).where(operations.c.id == key).values(**done))
    assert api("PUT", at, "2.67", {"forced_down": False}).json["service"]["forced_down"] is False


def test_who_forced_a_host_down_is_evidence(lost: tuple[Api, str]) -> None:
    api, _ = lost
    uuid = seed.instance(api.db, "b", host="compute1")
    at = f"/os-services/{service_id(api, 'compute1')}"
    assert api("PUT", at, "2.96", {"forced_down": True}).status == 200
    with api.db.read() as connection:
        said = connection.execute(select(hosts.c.fencing).where(hosts.c.name == "compute1")).scalar_one()
    assert (said["kind"], said["by"]) == ("forced_down", "admin")
    refused = evacuate(api, uuid, {}, "2.96")
    assert refused.status == 400, "the host still answers, and the disk is there and nowhere else"
    for part in ("Compute service of compute1 is still in use", "live-migration or migrate instead"):
        assert part in refused.json["badRequest"]["message"]
    seed.pools(api.db, "compute1", local="id-2")
    assert evacuate(api, uuid, {}, "2.96").status == 200, "its agent stops the guest before another copy starts"


def test_a_word_of_before_the_host_was_heard_is_no_evidence_until_it_is_said_again(lost: tuple[Api, str]) -> None:
    api, uuid = lost
    with api.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(last_seen=seed.BEGAN + 3600))
    refused = evacuate(api, uuid, {}, "2.96")
    assert refused.status == 409
    assert "heard after it was forced down" in refused.message
    assert "if compute3 is down now, set forced_down again" in refused.message
    (shown,) = (s for s in api("GET", "/os-services").json["services"] if s["host"] == "compute3")
    assert (shown["forced_down"], shown["state"]) == (True, "down")
    at = f"/os-services/{service_id(api, 'compute3')}"
    assert api("PUT", at, "2.96", {"forced_down": True}).status == 200
    assert evacuate(api, uuid, {}, "2.96").status == 200


def test_the_destination_of_an_evacuation_owes_nothing(lost: tuple[Api, str]) -> None:
    api, uuid = lost
    seed.migration(api.db, uuid, "done", kind="evacuation", phase="cleanup", source="compute1", destination="compute3")
    at = f"/os-services/{service_id(api, 'compute3')}"
    assert api("PUT", at, "2.96", {"forced_down": False}).status == 200


def test_an_evacuation_undone_does_not_keep_its_source_down(lost: tuple[Api, str]) -> None:
    """What is left of it waits for its destination, and asks nothing of the host that it began at."""
    api, uuid = lost
    seed.migration(
        api.db,
        uuid,
        "error",
        kind="evacuation",
        phase="rebuild",
        source="compute3",
        destination="compute1",
        active=True,
        locks_instance=False,
        forward=False,
        context={"owed": ["rebuild", "claim"]},
    )
    at = f"/os-services/{service_id(api, 'compute3')}"
    assert api("PUT", at, "2.96", {"forced_down": False}).status == 200
