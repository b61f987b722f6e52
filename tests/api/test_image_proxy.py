"""Below 2.36: this server's images as Nova shows them, and its other proxies, which are refused by name."""

from typing import Any

import pytest

from migrator.api.refused_proxies import GONE, PROXIES
from migrator.db import images
from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api

OLD = "2.35"
ROOT = "http://testserver"
SERVER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def ids(api: Api) -> list[str]:
    """Of three images, the oldest first; the last is another project's own."""
    with api.db.write() as connection:
        images.remove(connection, seed.IMAGE)
    found = [seed.new_uuid() for _ in range(3)]
    more: list[dict[str, Any]] = [
        {"name": "one", "min_ram": 64, "min_disk": 1, "properties": {"os_distro": "debian", "instance_uuid": SERVER}},
        {"name": "two", "status": "queued", "size": None, "min_ram": 0, "min_disk": 0},
        {"name": "theirs", "visibility": "private", "owner": "demo", "min_ram": 0, "min_disk": 0},
    ]
    for age, (ident, values) in enumerate(zip(found, more, strict=True)):
        seed.image(api.db, ident, **{"created_at": seed.BEGAN + age, "updated_at": seed.BEGAN + age} | values)
    return found


def names(api: Api, query: str = "", version: str = OLD) -> list[str]:
    return [image["name"] for image in api("GET", f"/images{query}", version).json["images"]]


def test_an_image_is_shown_in_novas_form(api: Api, ids: list[str]) -> None:
    one = ids[0]
    links = [
        {"rel": "self", "href": f"{ROOT}/v2.1/images/{one}"},
        {"rel": "bookmark", "href": f"{ROOT}/images/{one}"},
        {"rel": "alternate", "type": "application/vnd.openstack.image", "href": f"{ROOT}/image/v2/images/{one}"},
    ]
    server = [{"rel": "self", "href": f"{ROOT}/v2.1/servers/{SERVER}"}]
    server.append({"rel": "bookmark", "href": f"{ROOT}/servers/{SERVER}"})
    assert api("GET", f"/images/{one}", OLD).json["image"] == {
        "id": one,
        "name": "one",
        "links": links,
        "minRam": 64,
        "minDisk": 1,
        "metadata": {"os_distro": "debian", "instance_uuid": SERVER},
        "created": "2026-09-21T14:13:20Z",
        "updated": "2026-09-21T14:13:20Z",
        "status": "ACTIVE",
        "progress": 100,
        "OS-EXT-IMG-SIZE:size": 1000,
        "server": {"id": SERVER, "links": server},
    }
    queued = api("GET", f"/images/{ids[1]}", OLD).json["image"]
    assert (queued["status"], queued["progress"], queued["OS-EXT-IMG-SIZE:size"]) == ("SAVING", 25, 0)
    assert api("GET", "/images/detail?name=one", OLD).json["images"][0]["links"] == links


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["theirs", "two", "one"]),
        ("?name=two", ["two"]),
        ("?status=SAVING", []),
        ("?status=QUEUED", ["two"]),
        ("?minRam=64&minDisk=1", ["one"]),
        ("?property-os_distro=debian", ["one"]),
        (f"?server=http://n/servers/{SERVER}", ["one"]),
        ("?changes-since=2026-09-21T14:13:21Z", ["theirs", "two"]),
        ("?limit=0", []),
        ("?foo=bar", ["theirs", "two", "one"]),
    ],
)
def test_images_are_listed_by_novas_filters(api: Api, ids: list[str], query: str, found: list[str]) -> None:
    assert (len(ids), names(api, query)) == (3, found)


def test_images_are_listed_by_pages(api: Api, ids: list[str]) -> None:
    first = api("GET", "/images?limit=2", OLD).json
    after = f"limit=2&marker={ids[1]}"
    assert first["images_links"] == [{"rel": "next", "href": f"{ROOT}/v2.1/images?{after}"}]
    assert names(api, f"?{after}") == ["one"]
    assert api("GET", "/images?marker=nosuch", OLD).status == 400
    assert api("GET", "/images?limit=x", OLD).status == 400
    assert api("GET", "/images?changes-since=x", OLD).status == 400


def test_a_project_sees_its_own_images_and_public_ones(api: Api, ids: list[str]) -> None:
    api.web.caller = Caller("other", "other", "", is_admin=False)
    assert names(api) == ["two", "one"]
    theirs = api("GET", f"/images/{ids[2]}", OLD)
    assert (theirs.status, theirs.message) == (404, "Image not found.")
    assert api("GET", f"/images/{ids[2]}/metadata", OLD).status == 404
    api.web.caller = Caller("demo", "demo", "", is_admin=False)
    assert names(api) == ["theirs", "two", "one"]


def test_metadata_is_an_images_properties_until_2_38(api: Api, ids: list[str]) -> None:
    at = f"/images/{ids[0]}/metadata"
    for version, status in (("2.38", 200), ("2.39", 404)):
        assert (api("GET", at, version).status, api("GET", f"{at}/os_distro", version).status) == (status, status)
    assert api("GET", at, "2.38").json == {"metadata": {"os_distro": "debian", "instance_uuid": SERVER}}
    assert api("GET", f"{at}/os_distro", "2.38").json == {"meta": {"os_distro": "debian"}}
    assert api("GET", f"{at}/nosuch", "2.38").message == "The resource could not be found."


@pytest.mark.parametrize("path", ["", "/detail", "/IMAGE"])
def test_from_2_36_on_images_are_not_there(api: Api, ids: list[str], path: str) -> None:
    answer = api("GET", f"/images{path.replace('IMAGE', ids[0])}", "2.36")
    assert (answer.status, answer.message) == (404, "The resource could not be found.")


def test_what_is_passed_on_by_nova_is_refused_by_name(api: Api, ids: list[str]) -> None:
    asked = [("GET", f"/{name}/thing") for name in PROXIES.keys() - {"images", "os-networks"}]
    asked += [("DELETE", f"/images/{ids[0]}"), ("POST", f"/images/{ids[0]}/metadata"), ("POST", "/os-networks")]
    for method, path in asked:
        name = path.split("/")[1]
        for before in ("", "/admin"):
            body: Any = {} if method == "POST" else None
            old = api(method, before + path, OLD, body)
            assert (old.status, old.message) == (501, f"{name} is not served: {PROXIES[name]}"), path
            new = api(method, before + path, "2.36", body)
            assert (new.status, new.message) == (404, "The resource could not be found."), path


def test_what_nova_has_no_more_is_gone(api: Api) -> None:
    message = "This resource is no longer available. No forwarding address is given."
    for name in GONE:
        for version in ("2.1", "2.104"):
            answer = api("GET", f"/{name}", version)
            assert (answer.status, answer.json) == (410, {"computeFault": {"code": 410, "message": message}})
    assert api("GET", "/nosuch", "2.1").json["code"] == "404 Not Found"
