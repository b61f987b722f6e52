"""migrate and resize over HTTP: what is accepted, what is refused and in which words."""

from typing import Any

import pytest

from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.action_requests import ask, nothing_begun, only_operation
from tests.api.harness import Api
from tests.api.seed import IMAGE, NOBODY

VERSIONS = ("2.1", "2.55", "2.56", "2.96")


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
    ("state", "message"),
    [
        ({"vm_state": "resized"}, "vm_state resized"),
        ({"vm_state": "error"}, "vm_state error"),
        ({"vm_state": "paused"}, "vm_state paused"),
        ({"task_state": "powering-off"}, "task_state powering-off"),
    ],
)
@pytest.mark.parametrize("host", [None, "nosuch", "compute1"])
def test_migrate_in_a_wrong_state(api: Api, state: Any, message: str, host: str | None) -> None:
    uuid = seed.instance(api.db, "a", **state)
    answer = ask(api, uuid, {"migrate": {"host": host}})
    assert (answer.status, answer.message) == (409, f"Cannot 'migrate' instance {uuid} while it is in {message}")
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
