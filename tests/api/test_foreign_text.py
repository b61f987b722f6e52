"""Characters that no domain's XML can hold are refused by the field's name; a fault tells of no path and no XML."""

from typing import Any

import pytest

from tests.api import seed
from tests.api.harness import Web

ERROR = "cannot start: <domain><name>x</name></domain> with '/var/lib/migrator/disk.qcow2': Permission denied"
FORBIDDEN = ("\x00", "\x01", "\x1b", "\ufffe", "\uffff")


def server(**more: Any) -> dict[str, Any]:
    return {"server": {"name": "x", "flavorRef": "1", "imageRef": seed.IMAGE, "networks": "none"} | more}


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/servers", server(name="a%sb"), "name"),
        ("POST", "/servers", server(description="a%sb"), "description"),
        ("POST", "/servers", server(metadata={"role": "a%sb"}), "role"),
        ("POST", "/servers", server(metadata={"a%sb": "x"}), "metadata"),
        ("POST", "/servers", server(tags=["a%sb"]), "tags"),
        ("POST", "/servers", server(adminPass="a%sb"), "adminPass"),
        ("POST", "/servers", server(user_data="a%sb"), "user_data"),
        ("PUT", "/servers/{id}", {"server": {"name": "a%sb"}}, "name"),
        ("PUT", "/servers/{id}", {"server": {"description": "a%sb"}}, "description"),
        ("POST", "/servers/{id}/metadata", {"metadata": {"role": "a%sb"}}, "role"),
        ("PUT", "/servers/{id}/tags", {"tags": ["a%sb"]}, "tags"),
        ("POST", "/servers/{id}/action", {"lock": {"locked_reason": "a%sb"}}, "locked_reason"),
        ("POST", "/servers/{id}/action", {"evacuate": {"adminPass": "a%sb"}}, "adminPass"),
        ("POST", "/flavors", {"flavor": {"name": "a%sb", "vcpus": 1, "ram": 1, "disk": 1}}, "name"),
        ("POST", "/image/v2/images", {"name": "a%sb"}, "name"),
        ("POST", "/image/v2/images", {"name": "x", "os_command_line": "a%sb"}, "os_command_line"),
        ("POST", "/image/v2/images", {"name": "x", "a%sb": "y"}, "body"),
        ("POST", "/v1/volumes", {"volume": {"name": "a%sb", "source": "nbd://h/x", "size_gb": 1}}, "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_character_that_xml_cannot_hold_is_refused_by_the_fields_name(
    web: Web, method: str, path: str, body: Any, field: str, character: str
) -> None:
    uuid = seed.instance(web.db, "vm")
    path = path if path.startswith(("/image", "/v1")) else f"/v2.1{path}"
    answer = web(method, path.format(id=uuid), json=_filled(body, character))
    assert answer.status_code == 400, answer.text
    assert field in answer.text
    assert character not in answer.text


def _filled(body: Any, character: str) -> Any:
    if isinstance(body, dict):
        return {_filled(name, character): _filled(value, character) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, character) for value in body]
    return body.replace("%s", character) if isinstance(body, str) else body


def test_half_a_surrogate_pair_is_refused(web: Web) -> None:
    headers = {"Content-Type": "application/json"}
    content = '{"server": {"name": "a\\ud800b", "flavorRef": "1", "networks": "none"}}'
    assert web("POST", "/v2.1/servers", content=content, headers=headers).status_code == 400


def test_what_people_write_is_taken(web: Web) -> None:
    uuid = seed.instance(web.db, "vm")
    for name in ("Übung", "日本語", "a\\u0000b", "🙂", "\ufffd"):
        answer = web("PUT", f"/v2.1/servers/{uuid}", json={"server": {"name": name}})
        assert (answer.status_code, answer.json()["server"]["name"]) == (200, name)
    many_lines = {"server": {"description": "one\ntwo\tthree"}}
    assert web("PUT", f"/v2.1/servers/{uuid}", json=many_lines).status_code == 200


def test_a_fault_and_an_actions_details_tell_of_no_path_and_no_xml_and_the_native_api_does(web: Web) -> None:
    fault = {"code": 500, "message": ERROR, "details": ERROR, "created": seed.BEGAN}
    uuid = seed.instance(web.db, "vm", vm_state="error", fault=fault)
    error = {"code": "hypervisor_error", "message": ERROR}
    key = seed.migration(web.db, uuid, "failed", request_id="req-1", error=error)
    seed.event(web.db, key, "begin", "inspect", seed.BEGAN, host="compute1")
    seed.event(web.db, key, "reverse", "claim", seed.BEGAN + 2, message=ERROR)
    read = "cannot start: (XML) with '(path)': Permission denied"
    shown = web("GET", f"/v2.1/servers/{uuid}").json()["server"]["fault"]
    assert (shown["message"], shown["details"]) == (read, read)
    action = web("GET", f"/v2.1/servers/{uuid}/os-instance-actions/req-1")
    assert read in action.text
    assert "/var/lib" not in action.text
    assert "/var/lib" not in web("GET", "/v2.1/os-migrations").text
    operation = web("GET", f"/v1/operations/{key}/timeline", None).json()
    assert operation["operation"]["error"]["message"] == ERROR
    assert ERROR in [event["message"] for event in operation["events"]]
