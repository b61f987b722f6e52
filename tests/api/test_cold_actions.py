"""migrate, resize, confirmResize and revertResize over HTTP: what is accepted, what is refused and in which words."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import events, facts, hosts, operations
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import IMAGE, NOBODY

VERSIONS = ("2.1", "2.55", "2.56", "2.96")


def ask(api: Api, uuid: str, body: Any, version: str = "2.96") -> Any:
    return api("POST", f"/servers/{uuid}/action", version, body)


def only_operation(api: Api) -> Any:
    with api.db.read() as connection:
        return connection.execute(select(operations)).one()


def nothing_begun(api: Api) -> bool:
    with api.db.read() as connection:
        return connection.execute(select(operations)).first() is None


@pytest.fixture
def flavors(api: Api) -> Api:
    """Beside "1" (1 GiB): a larger one, one without its own disk size, one with an ephemeral disk, one elsewhere."""
    others: dict[str, dict[str, Any]] = {
        "2": {"disk_gb": 2, "memory_mb": 128, "vcpus": 2},
        "zero": {"disk_gb": 0},
        "scratch": {"disk_gb": 2, "ephemeral_gb": 1},
        "elsewhere": {"disk_gb": 2, "extra_specs": {"migrator:storage": "shared"}},
    }
    for key, more in others.items():
        seed.flavor(api.db, flavorid=key, name=f"m1.{key}", **more)
    return api


# --- migrate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("value", [None, {}])
def test_migrate(api: Api, version: str, value: Any) -> None:
    uuid = seed.instance(api.db, "a")
    answer = ask(api, uuid, {"migrate": value}, version)
    assert (answer.status, answer.json) == (202, None)
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("RESIZE", "resize_prep")
    (record,) = api("GET", "/os-migrations").json["migrations"]
    assert (record["migration_type"], record["status"], record["source_compute"]) == (
        "migration",
        "pre-migrating",
        "compute1",
    )
    assert (record["old_instance_type_id"], record["new_instance_type_id"]) == (1, 1)
    (action,) = api("GET", f"/servers/{uuid}/os-instance-actions").json["instanceActions"]
    assert action["action"] == "migrate"


@pytest.mark.parametrize("vm_state", ["active", "stopped", "suspended"])
def test_migrate_to_a_host(api: Api, vm_state: str) -> None:
    uuid = seed.instance(api.db, "a", vm_state=vm_state)
    assert ask(api, uuid, {"migrate": {"host": "compute2"}}, "2.56").status == 202
    assert only_operation(api).requested_host == "compute2"


def test_below_2_56_a_host_is_not_looked_at(api: Api) -> None:
    uuid = seed.instance(api.db, "a")
    assert ask(api, uuid, {"migrate": {"host": "nosuch"}}, "2.55").status == 202
    assert only_operation(api).requested_host is None


@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        ({"nosuch": 1}, 400, "Additional properties are not allowed ('nosuch' was unexpected)"),
        ({"host": ""}, 400, "Invalid input for field/attribute host."),
        ({"host": 7}, 400, "Invalid input for field/attribute host."),
        ([], 400, "Invalid input for field/attribute migrate."),
        ({"host": "nosuch"}, 400, "Compute host nosuch could not be found."),
        ({"host": "compute1"}, 400, "Cannot migrate to the host where the server exists."),
    ],
)
def test_migrate_refused(api: Api, value: Any, status: int, text: str) -> None:
    answer = ask(api, seed.instance(api.db, "a"), {"migrate": value})
    assert answer.status == status
    assert text in answer.message
    assert nothing_begun(api)


@pytest.mark.parametrize("body", [{"migrate": None}, {"resize": {"flavorRef": "2"}}])
def test_a_source_that_is_down_cannot_send(flavors: Api, body: Any) -> None:
    seed.host(flavors.db, "compute3", last_seen=1.0)
    answer = ask(flavors, seed.instance(flavors.db, "a", host="compute3"), body)
    assert (answer.status, answer.message) == (409, "Service is unavailable at this time.")
    assert nothing_begun(flavors)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"vm_state": "resized"}, "vm_state resized"),
        ({"vm_state": "error"}, "vm_state error"),
        ({"vm_state": "paused"}, "vm_state paused"),
        ({"task_state": "powering-off"}, "task_state powering-off"),
    ],
)
@pytest.mark.parametrize("host", [None, "nosuch", "compute1"])
def test_migrate_in_a_wrong_state(api: Api, state: Any, words: str, host: str | None) -> None:
    uuid = seed.instance(api.db, "a", **state)
    answer = ask(api, uuid, {"migrate": {"host": host}})
    assert (answer.status, answer.message) == (409, f"Cannot 'migrate' instance {uuid} while it is in {words}")
    assert nothing_begun(api)


def test_migrate_nobody(api: Api) -> None:
    answer = ask(api, NOBODY, {"migrate": None})
    assert (answer.status, answer.message) == (404, f"Instance {NOBODY} could not be found.")


def test_members_do_not_migrate_but_resize(flavors: Api) -> None:
    uuid = seed.instance(flavors.db, "a", project_id="demo")
    flavors.web.caller = Caller("demo", "demo", "", is_admin=False)
    answer = ask(flavors, uuid, {"migrate": None})
    assert (answer.status, answer.message) == (
        403,
        "Policy doesn't allow os_compute_api:os-migrate-server:migrate to be performed.",
    )
    assert ask(flavors, uuid, {"resize": {"flavorRef": "2"}}).status == 202


# --- resize -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.1", "2.96"])
@pytest.mark.parametrize("ref", ["2", "http://testserver/v2.1/flavors/2"])
def test_resize(flavors: Api, version: str, ref: str) -> None:
    uuid = seed.instance(flavors.db, "a")
    answer = ask(flavors, uuid, {"resize": {"flavorRef": ref}}, version)
    assert (answer.status, answer.json) == (202, None)
    (record,) = flavors("GET", "/os-migrations").json["migrations"]
    old, new = only_operation(flavors).params["old_flavor"], only_operation(flavors).params["new_flavor"]
    assert (record["migration_type"], record["old_instance_type_id"], record["new_instance_type_id"]) == (
        "resize",
        old["id"],
        new["id"],
    )
    assert (old["name"], new["name"], old["id"] == new["id"]) == ("m1.nano", "m1.2", False)
    shown = flavors("GET", f"/servers/{uuid}").json["server"]
    assert (shown["status"], shown["flavor"]["original_name"]) == ("RESIZE", "m1.nano"), "the old one until it is there"


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        ("nosuch", "Flavor nosuch could not be found."),
        ("1", "When resizing, instances must change flavor!"),
        ("scratch", "a resize adds no disk"),
        ("elsewhere", "a resize moves no disk to another pool"),
    ],
)
def test_resize_refused(flavors: Api, ref: str, text: str) -> None:
    uuid = seed.instance(flavors.db, "a")
    before = flavors("GET", f"/servers/{uuid}").json
    answer = ask(flavors, uuid, {"resize": {"flavorRef": ref}})
    assert answer.status == 400
    assert text in answer.message
    assert nothing_begun(flavors)
    assert flavors("GET", f"/servers/{uuid}").json == before


@pytest.mark.parametrize("ref", ["1", "zero"])
def test_disks_do_not_shrink(flavors: Api, ref: str) -> None:
    large = dict(seed.FLAVOR) | {"id": 2, "flavorid": "2", "name": "m1.2", "disk_gb": 2}
    answer = ask(flavors, seed.instance(flavors.db, "a", flavor=large), {"resize": {"flavorRef": ref}})
    assert answer.status == 400
    assert "smaller root disk" in answer.message
    assert nothing_begun(flavors)


def test_a_flavor_too_small_for_the_image(flavors: Api) -> None:
    own_size = dict(seed.FLAVOR) | {"flavorid": "zero", "disk_gb": 0}
    seed.image(flavors.db, NOBODY, virtual_size=3 * 1024**3)
    uuid = seed.instance(flavors.db, "a", flavor=own_size, image_id=NOBODY)
    answer = ask(flavors, uuid, {"resize": {"flavorRef": "2"}})
    assert answer.status == 400
    assert "Flavor's disk is too small for requested image." in answer.message
    gone = seed.instance(flavors.db, "b", flavor=own_size, image_id=IMAGE.replace("6", "7"))
    assert ask(flavors, gone, {"resize": {"flavorRef": "2"}}).status == 202, "an image that is gone asks for nothing"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "Invalid input for field/attribute resize. Value: {}. 'flavorRef' is a required property"),
        (None, "Invalid input for field/attribute resize. Value: None. None is not of type 'object'"),
        ({"flavorRef": "2", "x": 1}, "Additional properties are not allowed ('x' was unexpected)"),
        ({"flavorRef": ""}, "Invalid input for field/attribute flavorRef."),
    ],
)
def test_resize_bodies(flavors: Api, value: Any, text: str) -> None:
    answer = ask(flavors, seed.instance(flavors.db, "a"), {"resize": value})
    assert answer.status == 400
    assert text in answer.message


@pytest.mark.parametrize("vm_state", ["suspended", "paused", "resized", "error"])
def test_resize_in_a_wrong_state(flavors: Api, vm_state: str) -> None:
    uuid = seed.instance(flavors.db, "a", vm_state=vm_state)
    answer = ask(flavors, uuid, {"resize": {"flavorRef": "2"}})
    assert (answer.status, answer.message) == (
        409,
        f"Cannot 'resize' instance {uuid} while it is in vm_state {vm_state}",
    )


# --- confirm and revert -----------------------------------------------------------------------------------------


@pytest.fixture
def resized(flavors: Api) -> tuple[Api, str]:
    """An instance in VERIFY_RESIZE on compute2, with its timeline; (api, instance)."""
    new = dict(seed.FLAVOR) | {"id": 2, "flavorid": "2", "name": "m1.2", "disk_gb": 2, "memory_mb": 128}
    uuid = seed.instance(flavors.db, "a", vm_state="resized", host="compute2", flavor=new)
    params = {"old_flavor": dict(seed.FLAVOR), "new_flavor": new}
    key = seed.migration(flavors.db, uuid, "finished", kind="resize", phase="verify", params=params, request_id="req-0")
    seed.event(flavors.db, key, "begin", "inspect", seed.BEGAN, host="compute1", instance_uuid=uuid)
    seed.event(flavors.db, key, "phase", "copy", seed.BEGAN + 1, host="compute2", instance_uuid=uuid)
    seed.event(flavors.db, key, "phase", "verify", seed.BEGAN + 2, instance_uuid=uuid)
    return flavors, uuid


def test_verify_resize_is_shown(resized: tuple[Api, str]) -> None:
    api, uuid = resized
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert (shown["status"], shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"]) == (
        "VERIFY_RESIZE",
        "resized",
        None,
    )
    assert (shown["flavor"]["original_name"], shown["OS-EXT-SRV-ATTR:host"]) == ("m1.2", "compute2")
    assert [s["id"] for s in api("GET", "/servers?status=VERIFY_RESIZE").json["servers"]] == [uuid]


@pytest.mark.parametrize(
    ("name", "status", "about", "flag"),
    [
        ("confirmResize", 204, "confirm", "confirm_requested"),
        ("revertResize", 202, "revert", "cancel_requested"),
    ],
)
def test_confirm_and_revert(resized: tuple[Api, str], name: str, status: int, about: str, flag: str) -> None:
    api, uuid = resized
    answer = ask(api, uuid, {name: None}, "2.1")
    assert (answer.status, answer.json) == (status, None)
    assert getattr(only_operation(api), flag) is True
    second, first = api("GET", f"/servers/{uuid}/os-instance-actions").json["instanceActions"]
    assert (first["action"], second["action"]) == ("resize", name)
    assert first["request_id"] == "req-0" != second["request_id"]
    with api.db.read() as connection:
        noted = connection.execute(select(events.c.details).where(events.c.name == about)).scalar_one()
    assert noted["request_id"] == second["request_id"]
    at = f"/servers/{uuid}/os-instance-actions"
    own = api("GET", f"{at}/req-0", "2.84").json["instanceAction"]
    assert [(e["event"], e["result"]) for e in own["events"]] == [
        ("resize_copy", "Success"),
        ("resize_inspect", "Success"),
    ], "what follows VERIFY_RESIZE is the other request's"
    other = api("GET", f"{at}/{second['request_id']}", "2.84").json["instanceAction"]
    assert other["events"], "the reconciler went on at once"
    assert not {e["event"] for e in other["events"]} & {e["event"] for e in own["events"]}
    again = ask(api, uuid, {name: None})
    assert again.status == 409
    assert again.message.startswith(f"Cannot '{name}' instance {uuid} while it is in")


def test_a_revert_is_refused_while_the_source_is_down_and_says_what_can_be_done(resized: tuple[Api, str]) -> None:
    api, uuid = resized
    with api.db.write() as connection:
        connection.execute(hosts.update().where(hosts.c.name == "compute1").values(last_seen=1.0))
    answer = ask(api, uuid, {"revertResize": None})
    assert answer.status == 409
    for word in ("compute1", "is down", "Wait", "confirm", "evacuate"):
        assert word in answer.message, answer.message
    assert not only_operation(api).cancel_requested
    assert ask(api, uuid, {"confirmResize": None}).status == 204


@pytest.mark.parametrize("name", ["confirmResize", "revertResize"])
@pytest.mark.parametrize("state", [{"vm_state": "active"}, {"task_state": "resize_migrating"}])
def test_nothing_to_confirm_or_revert(api: Api, name: str, state: Any) -> None:
    uuid = seed.instance(api.db, "a", **state)
    ((column, value),) = state.items()
    answer = ask(api, uuid, {name: None})
    assert (answer.status, answer.message) == (
        409,
        f"Cannot '{name}' instance {uuid} while it is in {column} {value}",
    )
    assert ask(api, NOBODY, {name: None}).status == 404


@pytest.mark.parametrize(
    ("body", "verb"),
    [
        ({"os-start": None}, "start"),
        ({"os-stop": None}, "stop"),
        ({"reboot": {"type": "HARD"}}, "reboot"),
        ({"suspend": None}, "suspend"),
        ({"resume": None}, "resume"),
        ({"pause": None}, "pause"),
        ({"unpause": None}, "unpause"),
        ({"migrate": None}, "migrate"),
        ({"resize": {"flavorRef": "1"}}, "resize"),
        ({"os-migrateLive": {"host": None, "block_migration": "auto"}}, "os-migrateLive"),
    ],
)
def test_nothing_else_in_verify_resize(resized: tuple[Api, str], body: Any, verb: str) -> None:
    api, uuid = resized
    answer = ask(api, uuid, body)
    assert (answer.status, answer.message) == (
        409,
        f"Cannot '{verb}' instance {uuid} while it is in vm_state resized",
    )


# --- progress ---------------------------------------------------------------------------------------------------


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
