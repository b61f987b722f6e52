"""What every request has in common: discovery, microversions, faults, the two doors, and a quick end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.api import faults
from migrator.db import flavors
from migrator.db.engine import Database
from tests.api.harness import Web
from tests.ports import free_port

LINE = (
    "from migrator.server.main import serve; from migrator.settings import ServerSettings; "
    "raise SystemExit(serve(ServerSettings()))"
)


def test_versions_follow_the_host_header_and_a_proxy(db: Database, tmp_path: Path) -> None:
    web = Web(db, tmp_path, allowed_hosts=("testserver", "cloud.example"))
    old, version = web("GET", "/", None).json()["versions"]
    assert (old["id"], old["status"], old["version"]) == ("v2.0", "DEPRECATED", "")
    for path in ("/v2", "/v2/"):
        described = web("GET", path, None).json()["version"]
        assert (described["id"], described["links"][0]) == ("v2.0", {"rel": "self", "href": "http://testserver/v2/"})
    assert (version["id"], version["min_version"], version["version"]) == ("v2.1", "2.1", "2.104")
    assert version["links"] == [{"rel": "self", "href": "http://testserver/v2.1/"}]
    proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "cloud.example"}
    shown = web("GET", "/v2.1", None, headers=proxy).json()["version"]
    assert shown["links"][0]["href"] == "https://cloud.example/v2.1/"
    assert web("GET", "/nosuch", None).status_code == 300
    web.services.db.close()


@pytest.mark.parametrize(
    ("headers", "spoken"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.60"}, "2.60"),
        ({"OpenStack-API-Version": "volume 3.50, compute 2.60"}, "2.60"),
        ({"OpenStack-API-Version": "volume 3.50"}, "2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.61"}, "2.61"),
        ({"OpenStack-API-Version": "compute latest"}, "2.104"),
    ],
)
def test_a_microversion_is_negotiated_and_echoed(web: Web, headers: dict[str, str], spoken: str) -> None:
    answer = web("GET", "/v2.1/flavors", None, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {spoken}"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == spoken
    assert answer.headers["Vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    assert answer.headers["x-compute-request-id"] == answer.headers["x-openstack-request-id"]
    assert answer.headers["x-compute-request-id"].startswith("req-")


@pytest.mark.parametrize(("version", "status"), [("2.0", 406), ("2.105", 406), ("abc", 400), ("2", 400)])
def test_a_microversion_out_of_range_or_form_is_refused(web: Web, version: str, status: int) -> None:
    answer = web("GET", "/v2.1/flavors", version)
    assert answer.status_code == status
    (fault,) = answer.json().values()
    assert fault["code"] == status
    assert version in fault["message"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v2.1/nosuch"), ("DELETE", "/v2.1/flavors")])
def test_what_no_route_serves_is_not_found(web: Web, method: str, path: str) -> None:
    answer = web(method, path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "404 Not Found"
    assert "x-compute-request-id" in answer.headers


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"flavor":', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"flavor": {"name": "\\u0000"}}', "application/json", 400),
        (b"flavor=1", "application/x-www-form-urlencoded", 415),
        (b" " * 120_000, "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(web: Web, content: bytes, kind: str, status: int) -> None:
    answer = web("POST", "/v2.1/flavors", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert next(iter(answer.json().values()))["code"] == status


def test_an_unexpected_exception_tells_nothing_but_is_logged(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_anything: Any, **_more: Any) -> None:
        raise RuntimeError("the secret detail")

    monkeypatch.setattr(flavors, "listed", broken)
    answer = web("GET", "/v2.1/flavors")
    assert answer.status_code == 500
    assert answer.json() == {"computeFault": {"code": 500, "message": faults.UNEXPECTED}}
    assert "the secret detail" in caplog.text


def test_the_document_describes_every_path(web: Web) -> None:
    paths = web("GET", "/openapi.json", None).json()["paths"]
    assert {"/v2.1/flavors", "/v2.1/servers/{id}/action", "/v1/operations", "/image/v2/images"} <= set(paths)
    body = paths["/v2.1/flavors"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["flavor"]


def test_the_agents_door_shows_no_api_and_sigterm_ends_the_process(tmp_path: Path, database_url: str) -> None:
    api, agents = free_port(), free_port()
    environment = os.environ | {
        "MIGRATOR_DATABASE": database_url,
        "MIGRATOR_LISTEN": f"127.0.0.1:{api}",
        "MIGRATOR_AGENT_LISTEN": f"0.0.0.0:{agents}",
        "MIGRATOR_IMAGE_DIR": str(tmp_path),
    }
    with subprocess.Popen([sys.executable, "-c", LINE], env=environment) as process:
        try:
            wait_for(f"http://127.0.0.1:{api}/healthz", process)
            assert httpx.get(f"http://127.0.0.1:{api}/v2.1/flavors").status_code == 200
            assert httpx.get(f"http://127.0.0.1:{agents}/v2.1/flavors").status_code == 403
            assert httpx.get(f"http://127.0.0.1:{agents}/v1/operations").status_code == 403
            assert httpx.post(f"http://127.0.0.1:{agents}/agent/v1/hosts/n1/facts", json={}).status_code == 401
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended by itself"
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")
