"""Filters of images and migrations: each compares something, none is accepted and ignored."""

import pytest

from tests.api import seed
from tests.api.conftest import Web

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
        ("limit=1", ["a", "b"]),
    ],
)
def test_images_are_filtered_by_attributes_and_properties(web: Web, query: str, expected: list[str]) -> None:
    for body in (A, B):
        assert web("POST", "/image/v2/images", json=body).status_code == 201
    found = web("GET", f"/image/v2/images?{query}").json()["images"]
    assert sorted(image["name"] for image in found) == expected


@pytest.mark.parametrize("value", ["x", "-1", "9" * 40, "٣"])
def test_a_size_that_is_no_number_is_refused(web: Web, value: str) -> None:
    assert web("GET", f"/image/v2/images?size_min={value}").status_code == 400


def test_no_migration_is_hidden(web: Web) -> None:
    seed.migration(web.db, seed.instance(web.db, "a"), "completed")
    found = {value: len(web("GET", f"/v2.1/os-migrations?hidden={value}").json()["migrations"]) for value in "01"}
    assert found == {"0": 1, "1": 0}
