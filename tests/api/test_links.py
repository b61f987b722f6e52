"""Links and ``Location`` begin with a place of this server's, whatever headers a request has."""

import re
from typing import Any

import pytest

from tests.api.harness import Web
from tests.api.test_request_gate import Raw

FLAVOR = {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1}}


def _links(web: Web, headers: dict[str, str]) -> set[str]:
    answers: list[Any] = [
        web("POST", "/v2.1/flavors", json=FLAVOR, headers=headers).json()["flavor"]["links"],
        web("GET", "/", None, headers=headers).json()["versions"][1]["links"],
        web("GET", "/identity/v3", None, headers=headers).json()["version"]["links"],
    ]
    places = (link["href"] for links in answers for link in links)
    return {re.split("/v2.1|/flavors|/identity", place)[0] for place in places}


@pytest.mark.parametrize(
    "said",
    [
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example/x?", "X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Host": "testserver/x?"},
        {"X-Forwarded-Host": "testserver:80@evil.example"},
        {"X-Forwarded-Host": "evil.example, testserver"},
        {"X-Forwarded-Host": "[::1]evil"},
        {"X-Forwarded-Host": ""},
    ],
)
def test_what_no_proxy_of_ours_says_is_in_no_link(web: Web, said: dict[str, str]) -> None:
    assert _links(web, said) == {"http://testserver"}


@pytest.mark.parametrize(
    ("said", "root"),
    [
        ({"X-Forwarded-Proto": "https"}, "https://testserver"),
        ({"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "testserver, localhost"}, "https://testserver"),
        ({"X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "TestServer:8443"}, "https://testserver:8443"),
        ({"X-Forwarded-Host": "[::1]:8774"}, "http://[::1]:8774"),
        ({"Host": "localhost:8774"}, "http://localhost:8774"),
    ],
)
def test_a_proxy_that_names_a_host_of_ours_is_followed(web: Web, said: dict[str, str], root: str) -> None:
    assert _links(web, said) == {root}


@pytest.mark.parametrize(
    "host",
    [
        "localhost:80@evil.example",
        "localhost:x/../",
        "[::1]evil",
        "[::1",
        "::1",
        "[localhost]",
        "localhost:",
        "localhost:99999",
        "localhost:80:80",
        "localhost/x",
        "localhost?x",
        "localhost#x",
        "user@localhost",
        "local host",
    ],
)
def test_a_host_with_anything_beside_name_and_port_is_refused(web: Web, host: str) -> None:
    assert Raw(web)("GET", "/v2.1/flavors", {"Host": host}).status == 400
