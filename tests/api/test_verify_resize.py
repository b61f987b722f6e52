"""VERIFY_RESIZE over HTTP: confirmed, reverted, and what else is refused until then."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db.tables import events, hosts
from tests.api import seed
from tests.api.action_requests import ask, only_operation
from tests.api.harness import Api
from tests.api.seed import NOBODY


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
