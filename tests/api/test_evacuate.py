"""evacuate over HTTP at every microversion: what is accepted, and what is refused."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import host_domains, hosts, keys
from migrator.db.engine import Connection
from migrator.db.tables import instances, operations
from migrator.scheduler.requests.requests import Caller
from migrator.scheduler.state import passwords
from tests.api import seed
from tests.api.action_requests import evacuate
from tests.api.harness import Api
from tests.api.seed import NOBODY

OLD = {"onSharedStorage": False}


VERSIONS = [("2.1", OLD), ("2.13", OLD), ("2.14", {}), ("2.29", {}), ("2.67", {}), ("2.68", {}), ("2.95", {})]


def begun(api: Api) -> Any:
    with api.db.read() as connection:
        return connection.execute(select(operations)).one_or_none()


def kept_password(api: Api) -> str | None:
    with api.db.read() as connection:
        key = keys.stamp_key(connection)
    return passwords.decrypted(key, begun(api).params[passwords.PARAM])


@pytest.mark.parametrize(("version", "value"), VERSIONS)
def test_evacuate(lost: tuple[Api, str], version: str, value: Any) -> None:
    api, uuid = lost
    answer = evacuate(api, uuid, value, version)
    assert answer.status == 200
    if version in ("2.1", "2.13"):
        (password,) = answer.json.values()
        assert (list(answer.json), len(password)) == (["adminPass"], 12)
        assert kept_password(api) == password
    else:
        assert answer.json is None
        assert begun(api).params["admin_pass"] is None
    assert begun(api).params["power"] == ("shut_off" if version == "2.95" else "running")
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("REBUILD", "rebuilding")
    (record,) = api("GET", "/os-migrations?migration_type=evacuation").json["migrations"]
    assert record["source_compute"] == "compute3"
    assert (record["old_instance_type_id"], record["new_instance_type_id"]) == (None, None)
    (action,) = api("GET", f"/servers/{uuid}/os-instance-actions").json["instanceActions"]
    assert action["action"] == "evacuate"


@pytest.mark.parametrize(("version", "value"), VERSIONS)
def test_with_a_host_and_a_password(lost: tuple[Api, str], version: str, value: Any) -> None:
    api, uuid = lost
    answer = evacuate(api, uuid, value | {"host": "compute2", "adminPass": "MySecret1"}, version)
    assert answer.status == 200
    assert answer.json == ({"adminPass": "MySecret1"} if version in ("2.1", "2.13") else None)
    assert (begun(api).requested_host, kept_password(api)) == ("compute2", "MySecret1")
    assert "MySecret1" not in str(begun(api))


@pytest.mark.parametrize(
    ("version", "status"), [("2.1", 400), ("2.28", 400), ("2.29", 200), ("2.67", 200), ("2.68", 400)]
)
def test_force(lost: tuple[Api, str], version: str, status: int) -> None:
    api, uuid = lost
    value = (OLD if version == "2.1" else {}) | {"host": "compute2", "force": True}
    answer = evacuate(api, uuid, value, version)
    assert answer.status == status
    assert (begun(api) is not None) == (status == 200)
    if status == 400:
        assert "('force' was unexpected)" in answer.message


@pytest.mark.parametrize(
    ("version", "value", "text"),
    [
        ("2.1", {}, "Invalid input for field/attribute evacuate. Value: {}. 'onSharedStorage' is a required property"),
        ("2.1", None, "Invalid input for field/attribute evacuate. Value: None. None is not of type 'object'"),
        ("2.14", None, "Invalid input for field/attribute evacuate. Value: None. None is not of type 'object'"),
        ("2.14", {"onSharedStorage": True}, "Additional properties are not allowed ('onSharedStorage' was unexpected)"),
        ("2.96", {"host": None}, "Invalid input for field/attribute host."),
        ("2.96", {"adminPass": 7}, "Invalid input for field/attribute adminPass."),
        ("2.1", {"onSharedStorage": "maybe"}, "Invalid input for field/attribute onSharedStorage."),
        ("2.1", OLD | {"host": "compute3"}, "The target host can't be the same one."),
        ("2.96", {"host": "compute3"}, "The target host can't be the same one."),
        ("2.13", {"onSharedStorage": True, "adminPass": "s"}, "admin password can't be changed on existing disk"),
        ("2.13", {"onSharedStorage": True}, "Invalid state of instance files on shared storage"),
    ],
)
def test_refused(lost: tuple[Api, str], version: str, value: Any, text: str) -> None:
    api, uuid = lost
    before = api("GET", f"/servers/{uuid}").json
    answer = evacuate(api, uuid, value, version)
    assert answer.status == 400
    assert text in answer.message
    assert begun(api) is None
    assert api("GET", f"/servers/{uuid}").json == before, "the instance is where it was"


@pytest.mark.parametrize(("version", "value"), [("2.1", OLD), ("2.96", {})])
def test_unknown_things(lost: tuple[Api, str], version: str, value: Any) -> None:
    api, uuid = lost
    answer = evacuate(api, uuid, value | {"host": "nosuch"}, version)
    assert (answer.status, answer.message) == (404, "Compute host nosuch not found.")
    assert evacuate(api, NOBODY, value, version).status == 404
    assert begun(api) is None


@pytest.mark.parametrize(("version", "value"), [("2.1", OLD), ("2.96", {}), ("2.96", {"host": "compute2"})])
def test_the_host_is_up(api: Api, version: str, value: Any) -> None:
    answer = evacuate(api, seed.instance(api.db, "a"), value, version)
    assert (answer.status, answer.message) == (400, "Compute service of compute1 is still in use.")
    assert begun(api) is None


def test_silence_alone_is_no_evidence(api: Api) -> None:
    seed.host(api.db, "compute3", last_seen=1.0)
    answer = evacuate(api, seed.instance(api.db, "a", host="compute3"), {}, "2.96")
    assert answer.status == 409
    for word in ("compute3", "forced_down", "fence_command", "lease", "evacuate_silent_hosts"):
        assert word in answer.message
    assert begun(api) is None


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"vm_state": "resized"}, "vm_state resized"),
        ({"vm_state": "building"}, "vm_state building"),
        ({"task_state": "rebuilding"}, "task_state rebuilding"),
    ],
)
def test_a_wrong_state(lost: tuple[Api, str], state: Any, message: str) -> None:
    api, _ = lost
    uuid = seed.instance(api.db, "b", host="compute3", **state)
    answer = evacuate(api, uuid, {}, "2.96")
    assert (answer.status, answer.message) == (409, f"Cannot 'evacuate' instance {uuid} while it is in {message}")


def test_nothing_to_rebuild_from(lost: tuple[Api, str]) -> None:
    api, _ = lost
    spec = {"uuid": NOBODY, "name": "b", "vcpus": 1, "memory_mb": 64}
    spec["disks"] = [{"target": "vda", "pool": "local", "size_gb": 1}]
    answer = evacuate(api, seed.instance(api.db, "b", uuid=NOBODY, host="compute3", spec=spec), {}, "2.96")
    assert answer.status == 400
    assert "no image to be rebuilt from" in answer.message


def test_twice(lost: tuple[Api, str]) -> None:
    api, uuid = lost
    assert evacuate(api, uuid, {}, "2.96").status == 200
    assert evacuate(api, uuid, {}, "2.96").status == 409


def test_members_do_not_evacuate(lost: tuple[Api, str]) -> None:
    api, _ = lost
    uuid = seed.instance(api.db, "b", project_id="demo", host="compute3")
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    answer = evacuate(api, uuid, {}, "2.96")
    assert (answer.status, answer.message) == (403, "Policy doesn't allow os_compute_api:os-evacuate to be performed.")


@pytest.mark.parametrize(
    ("version", "value"), [("2.13", OLD), ("2.13", OLD | {"adminPass": "s"}), ("2.96", {"adminPass": "s"})]
)
@pytest.mark.parametrize("config_drive", [True, False])
def test_the_answer_says_when_nothing_sets_the_password(
    lost: tuple[Api, str], version: str, value: Any, config_drive: bool
) -> None:
    api, uuid = lost
    if config_drive:
        drive = {"target": "sda", "pool": "local", "size_gb": 0, "format": "raw", "config_drive": True}
        with api.db.write() as connection:
            spec = connection.execute(select(instances.c.spec).where(instances.c.uuid == uuid)).scalar_one()
            connection.execute(update(instances).values(spec=spec | {"disks": [*spec["disks"], drive]}))
    answer = evacuate(api, uuid, value, version)
    assert answer.status == 200
    said = answer.headers.get("x-migrator-password", "")
    assert said.startswith("not set: no config drive is made anew") is not config_drive


@pytest.mark.parametrize("version", ["2.14", "2.96"])
def test_an_answer_without_a_password_says_nothing_of_one(lost: tuple[Api, str], version: str) -> None:
    api, uuid = lost
    assert "x-migrator-password" not in evacuate(api, uuid, {}, version).headers


@pytest.mark.parametrize("on_shared", [True, False])
def test_on_shared_storage_there_is_no_password(lost: tuple[Api, str], on_shared: bool) -> None:
    api, uuid = lost
    seed.pools(api.db, "compute2", local="id-3")
    refused = evacuate(api, uuid, {"onSharedStorage": on_shared, "adminPass": "s3cret"}, "2.13")
    assert refused.status == 400
    assert "admin password can't be changed on existing disk" in refused.message
    assert evacuate(api, uuid, {"adminPass": "s3cret"}, "2.96").status == 400
    assert begun(api) is None
    kept = evacuate(api, uuid, {"onSharedStorage": on_shared}, "2.13")
    assert (kept.status, kept.json) == (200, {"adminPass": None})


def runs_on(api: Api, host: str, uuid: str, state: str = "running") -> None:
    with api.db.write() as connection:
        connection.execute(update(instances).values(updated_at=instances.c.created_at))
        host_domains.replace(connection, host, [host_domains.HeldCopy(uuid, state)])


@pytest.mark.parametrize(("known", "status"), [({}, 409), ({"last_seen": 1.0}, 409), ({"forced_down": True}, 200)])
def test_an_instance_that_another_host_runs_is_not_evacuated(
    lost: tuple[Api, str], known: dict[str, Any], status: int
) -> None:
    """As when the lost host is back under another name: nothing that is known of the old one stops that guest."""
    api, uuid = lost
    seed.host(api.db, "renamed", **({"last_seen": 1.0} | known if "forced_down" in known else known))
    runs_on(api, "renamed", uuid)
    answer = evacuate(api, uuid, {}, "2.96")
    assert answer.status == status
    if status == 409:
        assert "a copy of it runs on renamed, but its record says compute3" in answer.message


@pytest.mark.parametrize(("identity", "power"), [("id-1", "saved"), ("id-3", "shut_off")])
def test_a_suspended_one_stays_so_where_its_memory_outlived_its_host(
    lost: tuple[Api, str], identity: str, power: str
) -> None:
    api, _ = lost
    seed.pools(api.db, "compute3", local=identity)
    uuid = seed.instance(api.db, "b", host="compute3", vm_state="suspended", power_state=4)
    assert evacuate(api, uuid, {}, "2.79").status == 200
    assert begun(api).params["power"] == power


def test_an_evacuation_reads_all_hosts_before_its_transaction_begins(
    lost: tuple[Api, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, uuid = lost
    every, in_transactions = hosts.every, []

    def reading(connection: Connection) -> Any:
        in_transactions.append(bool(connection.info))
        return every(connection)

    monkeypatch.setattr(hosts, "every", reading)
    assert evacuate(api, uuid, {}, "2.95").status == 200
    assert in_transactions == [False]
