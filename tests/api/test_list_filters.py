"""Filters of images and migrations: each compares something, none is accepted and ignored."""

import pytest

from tests.api import seed
from tests.api.harness import Web

A = {"name": "a", "disk_format": "raw", "container_format": "bare", "tags": ["x"], "os_distro": "debian"}
B = {"name": "b", "disk_format": "raw", "container_format": "bare", "protected": True}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b"]),
        ("visibility=all", ["a", "b"]),
        ("tag=x", ["a"]),
        ("tag=nosuch", []),
        ("protected=true", ["b"]),
        ("protected=False", ["a"]),
        ("os_hidden=true", []),
        ("os_distro=debian", ["a"]),
        ("nosuch=x", []),
        ("checksum=x", []),
        ("size_min=1", []),
        ("size_max=0", ["a", "b"]),
        ("name=in:a,nosuch", ["a"]),
        ("created_at=gt:2020-01-01T00:00:00Z", ["a", "b"]),
        ("created_at=lt:2020-01-01T00:00:00Z", []),
        ("member_status=accepted", ["a", "b"]),
    ],
)
def test_images_are_filtered_by_attributes_and_properties(web: Web, query: str, expected: list[str]) -> None:
    for body in (A, B):
        assert web("POST", "/image/v2/images", json=body).status_code == 201
    found = web("GET", f"/image/v2/images?{query}").json()["images"]
    assert sorted(image["name"] for image in found) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=abc", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("marker=nonsense", "Invalid marker"),
        ("sort_key=nonsense", "Invalid sort key: nonsense"),
        ("sort=name:up", "Invalid sort direction: up"),
        ("sort_dir=up", "Invalid sort direction: up"),
        ("sort=name&sort_key=name", "cannot be combined"),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", "Number of sort dirs"),
        ("member_status=nonsense", "Invalid status: nonsense"),
        ("visibility=nonsense", "Invalid visibility value: nonsense"),
        ("created_at=x", "created_at"),
    ],
)
def test_a_list_of_images_refuses_what_it_cannot_honour(web: Web, query: str, message: str) -> None:
    answer = web("GET", f"/image/v2/images?{query}")
    assert answer.status_code == 400
    assert message in answer.json()["badRequest"]["message"]


def _walk(web: Web, query: str) -> list[list[str]]:
    """The names on each page, by the links."""
    pages, link = [], f"/v2/images?{query}"
    while link:
        body = web("GET", link).json()
        pages.append([image["name"] for image in body["images"]])
        link = body.get("next", "")
    return pages


def test_images_come_in_pages_and_in_the_order_that_is_asked_for(web: Web) -> None:
    for name in ("b", "a", "d", "c"):
        assert web("POST", "/image/v2/images", json=A | {"name": name}).status_code == 201
    assert _walk(web, "limit=3&sort=name:asc") == [["a", "b", "c"], ["d"]]
    assert _walk(web, "limit=2&sort_key=name&sort_dir=desc") == [["d", "c"], ["b", "a"]]
    assert _walk(web, "limit=1&sort_key=status&sort_key=name&sort_dir=asc&os_distro=debian") == [[n] for n in "abcd"]
    assert _walk(web, "limit=2&os_distro=nosuch") == [[]]
    assert _walk(web, "limit=0") == [[]]
    assert sorted(_walk(web, "limit=2")[0] + _walk(web, "limit=2")[1]) == ["a", "b", "c", "d"]


def test_a_page_of_images_is_bounded_whatever_is_asked(web: Web) -> None:
    for number in range(101):
        seed.image(web.db, f"00000000-0000-4000-8000-{number:012}", name=f"i{number:03}")
    assert [len(page) for page in _walk(web, "")] == [25, 25, 25, 25, 1]
    assert [len(page) for page in _walk(web, "limit=100000")] == [100, 1]


@pytest.mark.parametrize("asked", [{"n" * 256: "v"}, {"n": "v" * 65536}])
def test_a_property_is_bounded_by_name(web: Web, asked: dict[str, str]) -> None:
    answer = web("POST", "/image/v2/images", json=A | asked)
    assert answer.status_code == 400
    assert "Property 'n" in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("value", ["x", "-1", "9" * 40, "٣"])
def test_a_size_that_is_no_number_is_refused(web: Web, value: str) -> None:
    assert web("GET", f"/image/v2/images?size_min={value}").status_code == 400


def test_no_migration_is_hidden(web: Web) -> None:
    seed.migration(web.db, seed.instance(web.db, "a"), "completed")
    found = {value: len(web("GET", f"/v2.1/os-migrations?hidden={value}").json()["migrations"]) for value in "01"}
    assert found == {"0": 1, "1": 0}
