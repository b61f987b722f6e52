"""POST /servers/{id}/action over HTTP."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator import supported_requests
from migrator.api.v2_1.actions import live as actions_live
from migrator.db.tables import operations
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import NOBODY

LIVE_21 = {"os-migrateLive": {"host": None, "block_migration": False, "disk_over_commit": False}}


LIVE_225 = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


def live(host: str | None, **more: Any) -> dict[str, Any]:
    return {"os-migrateLive": {"host": host, "block_migration": "auto"} | more}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Malformed request body"),
        ({"os-start": None, "os-stop": None}, "Malformed request body"),
        ([], "Malformed request body"),
        ({"frobnicate": None}, "There is no such action: frobnicate"),
        ({"shelve": None}, "There is no such action: shelve (not supported: stop the server: it keeps its host)"),
        (
            {"reboot": {}},
            "Invalid input for field/attribute reboot. Value: {}. 'type' is a required property",
        ),
        ({"reboot": {"type": "MAYBE"}}, "Invalid input for field/attribute type. Value: MAYBE."),
    ],
)
def test_bad_bodies(api: Api, body: Any, text: str) -> None:
    answer = api("POST", f"/servers/{seed.instance(api.db, 'a')}/action", body=body)
    assert answer.status == 400
    assert answer.message.startswith(text)


def test_an_unknown_server_is_said_before_an_unknown_action(api: Api) -> None:
    answer = api("POST", f"/servers/{seed.NOBODY}/action", body={"frobnicate": None})
    assert (answer.status, answer.message) == (404, f"Instance {seed.NOBODY} could not be found.")


def test_each_action_that_is_not_offered_is_refused_with_its_reason(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    for row in supported_requests.REFUSED_ACTIONS:
        answer = api("POST", f"/servers/{uuid}/action", body={row.name: {}})
        assert (answer.status, answer.message) == (
            400,
            f"There is no such action: {row.name} (not supported: {row.what})",
        )


def test_a_server_is_deleted_by_force_as_by_its_url(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    assert api("POST", f"/servers/{uuid}/action", body={"forceDelete": None}).status == 202
    assert api("GET", f"/servers/{uuid}").json["server"]["OS-EXT-STS:task_state"] == "deleting"


@pytest.mark.parametrize(
    ("version", "value", "text"),
    [
        (
            "2.1",
            None,
            "Invalid input for field/attribute os-migrateLive. Value: None. None is not of type 'object'",
        ),
        (
            "2.1",
            {"host": None},
            "Invalid input for field/attribute os-migrateLive. Value: {'host': None}. "
            "'block_migration' is a required property",
        ),
        (
            "2.1",
            {"host": "compute2", "block_migration": "auto", "disk_over_commit": False},
            "Invalid input for field/attribute block_migration. Value: auto. 'auto' is not one of [True, 'True',",
        ),
        ("2.25", {"host": None, "block_migration": "auto", "force": True}, "('force' was unexpected)"),
        ("2.96", {"host": None, "block_migration": "auto", "force": True}, "('force' was unexpected)"),
        ("2.25", LIVE_21["os-migrateLive"], "('disk_over_commit' was unexpected)"),
    ],
)
def test_live_migration_bodies(api: Api, version: str, value: Any, text: str) -> None:
    uuid = seed.instance(api.db, "a")
    answer = api("POST", f"/servers/{uuid}/action", version, {"os-migrateLive": value})
    assert answer.status == 400
    assert text in answer.message
    assert api("GET", "/os-migrations").json == {"migrations": []}


def test_power(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    at = f"/servers/{uuid}/action"
    answer = api("POST", at, body={"os-stop": None})
    assert (answer.status, answer.json) == (202, None)
    again = api("POST", at, body={"os-stop": None})
    assert again.status == 409
    assert again.message == f"Cannot 'stop' instance {uuid} while it is in task_state powering-off"
    stopped = seed.instance(api.db, "b", vm_state="stopped", power_state=4)
    assert api("POST", f"/servers/{stopped}/action", body={"os-stop": None}).message == (
        f"Cannot 'stop' instance {stopped} while it is in vm_state stopped"
    )
    assert api("POST", f"/servers/{stopped}/action", body={"os-start": None}).status == 202
    for name, status in (("hard", "HARD_REBOOT"), ("SOFT", "REBOOT")):
        uuid = seed.instance(api.db, name)
        assert api("POST", f"/servers/{uuid}/action", body={"reboot": {"type": name}}).status == 202
        assert api("GET", f"/servers/{uuid}").json["server"]["status"] == status


def test_suspend_and_resume_pause_and_unpause(api: Api) -> None:
    suspended = seed.instance(api.db, "b", vm_state="suspended", power_state=4)
    paused = seed.instance(api.db, "p", vm_state="paused", power_state=3)
    for uuid, verb, task in (
        (seed.instance(api.db, "a"), "suspend", "suspending"),
        (suspended, "resume", "resuming"),
        (seed.instance(api.db, "q"), "pause", "pausing"),
        (paused, "unpause", "unpausing"),
    ):
        at = f"/servers/{uuid}"
        answer = api("POST", f"{at}/action", body={verb: None})
        assert (answer.status, answer.json) == (202, None)
        assert api("GET", at).json["server"]["OS-EXT-STS:task_state"] == task
        (action,) = api("GET", f"{at}/os-instance-actions").json["instanceActions"]
        assert action["action"] == verb
    for uuid, verb in (
        (seed.instance(api.db, "c"), "resume"),
        (seed.instance(api.db, "d", vm_state="stopped"), "suspend"),
        (seed.instance(api.db, "e", vm_state="paused", power_state=3), "pause"),
        (seed.instance(api.db, "f", vm_state="stopped"), "pause"),
        (seed.instance(api.db, "g"), "unpause"),
        (seed.instance(api.db, "h", vm_state="suspended", power_state=4), "unpause"),
    ):
        answer = api("POST", f"/servers/{uuid}/action", body={verb: None})
        assert answer.status == 409
        assert answer.message.startswith(f"Cannot '{verb}' instance {uuid} while it is in vm_state")


def test_wrong_states_for_a_live_migration(api: Api) -> None:
    for version, body in (("2.1", LIVE_21), ("2.25", LIVE_225), ("2.96", LIVE_225)):
        stopped = seed.instance(api.db, "a", vm_state="stopped")
        answer = api("POST", f"/servers/{stopped}/action", version, body)
        assert (answer.status, answer.message) == (
            409,
            f"Cannot 'os-migrateLive' instance {stopped} while it is in vm_state stopped; "
            "an instance that does not run is moved by 'migrate'",
        )
        moving = seed.instance(api.db, "b", task_state="migrating")
        answer = api("POST", f"/servers/{moving}/action", version, body)
        assert (answer.status, answer.message) == (
            409,
            f"Cannot 'os-migrateLive' instance {moving} while it is in task_state migrating",
        )
        assert api("POST", f"/servers/{NOBODY}/action", version, body).status == 404


@pytest.mark.parametrize(
    ("version", "host", "text"),
    [
        ("2.25", "nosuch", "Compute host nosuch could not be found."),
        ("2.96", "nosuch", "Compute host nosuch could not be found."),
        ("2.25", "compute1", "Unable to migrate instance ({uuid}) to current host (compute1)."),
        ("2.25", "compute3", "Compute service of compute3 is unavailable at this time."),
    ],
)
def test_hosts_that_the_answer_refuses(api: Api, version: str, host: str, text: str) -> None:
    seed.host(api.db, "compute3", last_seen=1.0)
    uuid = seed.instance(api.db, "a")
    answer = api("POST", f"/servers/{uuid}/action", version, live(host))
    assert (answer.status, answer.message) == (400, text.format(uuid=uuid))
    assert api("GET", "/os-migrations").json == {"migrations": []}, "nothing half done"


def test_accepted_at_once_from_2_34(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    began = time.monotonic()
    assert api("POST", f"/servers/{uuid}/action", "2.34", live("compute2")).status == 202
    assert time.monotonic() - began < 5
    assert api("GET", f"/servers/{uuid}").json["server"]["status"] == "MIGRATING"
    (migration,) = api("GET", "/os-migrations").json["migrations"]
    assert (migration["status"], migration["instance_uuid"]) == ("accepted", uuid)


def _later(api: Api, values: dict[str, Any]) -> threading.Thread:
    """Change the one operation as soon as it exists: what agents and reconciler would do at that time."""

    def change() -> None:
        for _ in range(200):
            with api.db.write() as connection:
                if connection.execute(select(operations.c.id)).first() is not None:
                    connection.execute(update(operations).values(**values))
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=change)
    thread.start()
    return thread


def test_below_2_34_a_refusal_is_the_answer(api: Api) -> None:
    why = "No valid host was found. compute2: cpu: Westmere lacks avx2"
    values = {"active": False, "status": "error", "error": {"code": "no_valid_host", "message": why}}
    uuid = seed.instance(api.db, "a")
    thread = _later(api, values)
    answer = api("POST", f"/servers/{uuid}/action", "2.33", live(None))
    thread.join()
    assert (answer.status, answer.message) == (400, why)


def test_below_2_34_the_answer_waits_for_the_checks(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    thread = _later(api, {"phase": "transfer", "status": "running"})
    assert api("POST", f"/servers/{uuid}/action", "2.1", LIVE_21).status == 202
    thread.join()


def test_below_2_34_the_wait_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions_live, "_WAIT_S", 0.2)
    uuid = seed.instance(api.db, "a")
    assert api("POST", f"/servers/{uuid}/action", "2.30", live(None, force=False)).status == 202


def test_lock(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    at = f"/servers/{uuid}/action"
    assert api("POST", at, "2.73", {"lock": {"locked_reason": "because"}}).status == 202
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert (shown["locked"], shown["locked_reason"]) == (True, "because")
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    answer = api("POST", at, body={"os-stop": None})
    assert (answer.status, answer.message) == (409, f"Instance {uuid} is locked")
    assert api("POST", at, body={"unlock": None}).status == 403
    api.web.caller = Caller("admin", "admin", "")
    assert api("POST", at, body={"unlock": None}).status == 202
    assert api("GET", f"/servers/{uuid}").json["server"]["locked"] is False


def test_members_do_not_migrate(api: Api) -> None:
    uuid = seed.instance(api.db, "a", project_id="demo")
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    answer = api("POST", f"/servers/{uuid}/action", body=LIVE_225)
    assert (answer.status, answer.message) == (
        403,
        "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live to be performed.",
    )
