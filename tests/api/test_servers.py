"""/servers over HTTP: what a real Nova was seen to answer, field by field and text by text."""

import pytest

from migrator.api.v2_1.common.schemas import space_separated
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api
from tests.api.seed import NOBODY

PROGRESS = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING")  # statuses that show it


_CORE = set(
    space_separated(
        "accessIPv4 accessIPv6 addresses created flavor hostId id image links metadata name status tenant_id user_id "
        "updated OS-DCF:diskConfig progress"
    )
)


_BASE = _CORE | set(
    space_separated(
        "OS-EXT-AZ:availability_zone config_drive key_name OS-SRV-USG:launched_at OS-SRV-USG:terminated_at "
        "OS-EXT-SRV-ATTR:host OS-EXT-SRV-ATTR:instance_name OS-EXT-SRV-ATTR:hypervisor_hostname OS-EXT-STS:task_state "
        "OS-EXT-STS:vm_state OS-EXT-STS:power_state os-extended-volumes:volumes_attached"
    )
)


_V3 = {f"OS-EXT-SRV-ATTR:{name}" for name in ("hostname", "kernel_id", "launch_index", "ramdisk_id")} | {
    f"OS-EXT-SRV-ATTR:{name}" for name in ("reservation_id", "root_device_name", "user_data")
}


_ADDED = [
    ("2.3", _V3),
    ("2.9", {"locked"}),
    ("2.16", {"host_status"}),
    ("2.19", {"description"}),
    ("2.26", {"tags"}),
    ("2.47", set()),
    ("2.63", {"trusted_image_certificates"}),
    ("2.71", {"server_groups"}),
    ("2.73", {"locked_reason"}),
    ("2.96", {"pinned_availability_zone"}),
    ("2.98", set()),
    ("2.100", {"scheduler_hints"}),
]


def test_fields_grow_with_the_microversion(api: Api) -> None:
    uuid = seed.instance(api.db, "cap")
    expected = set(_BASE)
    assert set(api("GET", f"/servers/{uuid}", "2.1").json["server"]) == expected
    for version, added in _ADDED:
        expected |= added
        assert set(api("GET", f"/servers/{uuid}", version).json["server"]) == expected, version
        (listed,) = api("GET", "/servers/detail", version).json["servers"]
        assert set(listed) == expected - {"server_groups"}, version


def test_values(api: Api) -> None:
    uuid = seed.instance(api.db, "cap")
    shown = api("GET", f"/servers/{uuid}").json["server"]
    assert shown["OS-EXT-SRV-ATTR:instance_name"] == "instance-00000001"
    assert shown["OS-SRV-USG:launched_at"] == "2026-09-21T14:13:22.000000"
    assert shown["created"] == "2026-09-21T14:13:20Z"
    assert shown["host_status"] == "UP"
    assert shown["OS-EXT-SRV-ATTR:root_device_name"] == "/dev/vda"
    assert shown["flavor"] == {
        "vcpus": 1,
        "ram": 64,
        "disk": 1,
        "ephemeral": 0,
        "swap": 0,
        "original_name": "m1.nano",
        "extra_specs": {},
    }
    old = api("GET", f"/servers/{uuid}", "2.46").json["server"]
    assert old["flavor"] == {
        "id": "1",
        "links": [{"rel": "bookmark", "href": "http://testserver/flavors/1"}],
    }
    assert [link["href"] for link in old["links"]] == [
        f"http://testserver/v2.1/servers/{uuid}",
        f"http://testserver/servers/{uuid}",
    ]


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "migrating", "MIGRATING"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "powering-off", "ACTIVE"),
        ("building", "spawning", "BUILD"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "resize_migrating", "RESIZE"),
        ("active", "resize_prep", "RESIZE"),
        ("active", "resize_finish", "RESIZE"),
        ("active", "resize_reverting", "REVERT_RESIZE"),
        ("resized", None, "VERIFY_RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("active", "rebuilding", "REBUILD"),
        ("error", "rebuild_spawning", "REBUILD"),
        ("active", "suspending", "ACTIVE"),
        ("suspended", None, "SUSPENDED"),
        ("suspended", "resuming", "SUSPENDED"),
        ("suspended", "resize_migrating", "RESIZE"),
        ("error", None, "ERROR"),
    ],
)
def test_status(api: Api, vm_state: str, task_state: str | None, status: str) -> None:
    fault = {
        "code": 500,
        "message": "No valid host was found.",
        "details": "compute1: RAM",
        "created": seed.BEGAN,
    }
    uuid = seed.instance(api.db, "cap", vm_state=vm_state, task_state=task_state, fault=fault)
    shown = api("GET", f"/servers/{uuid}", "2.1").json["server"]
    assert shown["status"] == status
    assert ("fault" in shown) == (status == "ERROR")
    assert ("progress" in shown) == (status in PROGRESS)


@pytest.mark.parametrize("name", [NOBODY, "abc"])
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("DELETE", ""), ("GET", "/metadata"), ("GET", "/migrations")]
)
def test_unknown_server(api: Api, name: str, method: str, rest: str) -> None:
    answer = api(method, f"/servers/{name}{rest}")
    assert (answer.status, answer.json) == (
        404,
        {"itemNotFound": {"code": 404, "message": f"Instance {name} could not be found."}},
    )


def test_list_pages(api: Api) -> None:
    uuids = [seed.instance(api.db, f"vm{number}") for number in range(3)][::-1]
    first = api("GET", "/servers?limit=2").json
    assert [server["id"] for server in first["servers"]] == uuids[:2]
    assert first["servers_links"] == [
        {"rel": "next", "href": f"http://testserver/v2.1/servers?limit=2&marker={uuids[1]}"}
    ]
    rest = api("GET", f"/servers?limit=2&marker={uuids[1]}").json
    assert [server["id"] for server in rest["servers"]] == uuids[2:]
    assert "servers_links" not in rest


@pytest.mark.parametrize(
    ("version", "query", "text"),
    [
        (
            "2.1",
            "limit=-1",
            "Invalid input for query parameters limit. Value: -1. '-1' does not match '^[0-9]*$'",
        ),
        ("2.1", "marker=nosuch", "marker [nosuch] not found"),
        ("2.1", "changes-since=tomorrow", "Invalid input for query parameters changes-since."),
        ("2.96", "foo=bar", "Additional properties are not allowed ('foo' was unexpected)"),
        (
            "2.1",
            "sort_key=nosuch",
            "Invalid input for query parameters sort_key. Value: nosuch. 'nosuch' is not one of",
        ),
    ],
)
def test_list_refusals(api: Api, version: str, query: str, text: str) -> None:
    answer = api("GET", f"/servers?{query}", version)
    assert answer.status == 400
    assert answer.message.startswith(text)


def test_unknown_parameters_below_2_75(api: Api) -> None:
    assert api("GET", "/servers?foo=bar", "2.74").json == {"servers": []}


@pytest.mark.parametrize("query", ["power_state=99999999999999999999", "power_state=²", "limit=999999999999999999"])
def test_numbers_beyond_every_column(api: Api, query: str) -> None:
    assert api("GET", f"/servers?{query}").json == {"servers": []}


def test_rename(api: Api) -> None:
    uuid = seed.instance(api.db, "cap")
    short = api("PUT", f"/servers/{uuid}", "2.1", {"server": {"name": "renamed"}}).json["server"]
    assert (short["name"], set(short)) == ("renamed", _CORE)
    whole = api("PUT", f"/servers/{uuid}", "2.96", {"server": {"description": "why"}}).json["server"]
    assert (whole["description"], whole["OS-EXT-SRV-ATTR:host"]) == ("why", "compute1")
    assert api("PUT", f"/servers/{uuid}", "2.96", {"server": {"nosuch": 1}}).status == 400


def test_delete(api: Api) -> None:
    uuid = seed.instance(api.db, "cap")
    answer = api("DELETE", f"/servers/{uuid}")
    assert (answer.status, answer.json) == (204, None)
    assert api("GET", f"/servers/{uuid}").json["server"]["OS-EXT-STS:task_state"] == "deleting"


def test_others_do_not_see_hosts(api: Api) -> None:
    mine, theirs = seed.instance(api.db, "mine", project_id="demo"), seed.instance(api.db, "theirs")
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    shown = api("GET", f"/servers/{mine}").json["server"]
    assert not {"OS-EXT-SRV-ATTR:host", "host_status", "OS-EXT-SRV-ATTR:instance_name"} & set(shown)
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "mine"
    assert api("GET", f"/servers/{theirs}").status == 404
    assert api("DELETE", f"/servers/{theirs}").status == 404


def test_metadata(api: Api) -> None:
    at = f"/servers/{seed.instance(api.db, 'cap')}/metadata"
    assert api("POST", at, body={"metadata": {"x": "y"}}).json == {"metadata": {"k": "v", "x": "y"}}
    assert api("GET", f"{at}/x").json == {"meta": {"x": "y"}}
    assert api("PUT", f"{at}/x", body={"meta": {"x": "z"}}).json == {"meta": {"x": "z"}}
    assert api("PUT", f"{at}/x", body={"meta": {"other": "z"}}).status == 400
    assert (api("DELETE", f"{at}/x").status, api("DELETE", f"{at}/x").status) == (204, 404)
    assert api("PUT", at, body={"metadata": {}}).json == api("GET", at).json == {"metadata": {}}
    assert api("POST", at, body={"metadata": {"x": 1}}).status == 400


def test_tags(api: Api) -> None:
    at = f"/servers/{seed.instance(api.db, 'cap')}/tags"
    unserved = api("GET", at, "2.25")
    assert (unserved.status, unserved.message) == (404, "The resource could not be found.")
    assert (api("PUT", f"{at}/a").status, api("PUT", f"{at}/a").status) == (201, 204)
    assert api("PUT", at, body={"tags": ["c", "b"]}).json == {"tags": ["b", "c"]}
    assert (api("GET", f"{at}/b").status, api("GET", f"{at}/a").status) == (204, 404)
    assert (api("DELETE", f"{at}/b").status, api("DELETE", f"{at}/b").status) == (204, 404)
    assert api("DELETE", at).status == 204
    assert api("GET", at).json == {"tags": []}


def test_empty_parts(api: Api) -> None:
    nics = [{"network": "lan", "mac": "fa:16:3e:00:00:01", "ip": "10.1.2.3"}]
    uuid = seed.instance(api.db, "cap", networks=nics)
    assert api("GET", f"/servers/{uuid}/ips").json == {"addresses": {"lan": [{"version": 4, "addr": "10.1.2.3"}]}}
    assert api("GET", f"/servers/{uuid}/os-interface").json == {"interfaceAttachments": []}
    assert api("GET", f"/servers/{uuid}/os-security-groups").json == {"security_groups": []}
    assert api("GET", f"/servers/{uuid}/os-volume_attachments").json == {"volumeAttachments": []}
