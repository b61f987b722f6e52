"""The audit: who asked for which change, from where, with which result, tied to the operation."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.api.identity import users
from migrator.api.identity.http_basic import HttpBasic
from migrator.db.engine import Database
from migrator.logs import JsonLines
from migrator.reloaded import Reloaded
from tests.api import seed
from tests.api.callers import basic, files
from tests.api.harness import Web

SENT_BY = {"X-Forwarded-For": "192.0.2.7"}
MEMBER = {**SENT_BY, **basic("member", "password of member")}


@pytest.fixture
def guarded(db: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Web]:
    caplog.set_level(logging.INFO, "migrator.audit")
    seed.host(db, "compute1")
    written = files(tmp_path)
    with written[1].open("a") as projects:
        projects.write("leaver: {project: own, roles: [member]}\n")
    made = Web(db, tmp_path, HttpBasic(Reloaded(written, lambda: users.load(*written))))
    yield made
    made.services.db.close()


def audit(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines, as they are written."""
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "migrator.audit"]
    assert all("\n" not in line and "\x1b" not in line for line in lines)
    return [json.loads(line) for line in lines]


def test_a_change_is_one_line_with_its_operation(guarded: Web, caplog: pytest.LogCaptureFixture) -> None:
    uuid = seed.instance(guarded.db, "a", project_id="own")
    answer = guarded("POST", f"/v2.1/servers/{uuid}/action", json={"os-stop": None}, headers=MEMBER)
    assert answer.status_code == 202
    (line,) = audit(caplog)
    with guarded.db.read() as connection:
        (operation,) = connection.exec_driver_sql("SELECT id, request_id FROM operations").all()
    told = {name: line[name] for name in ("user", "project", "client", "method", "path", "action", "status")}
    assert told == {
        "user": "member",
        "project": "own",
        "client": "192.0.2.7",
        "method": "POST",
        "path": f"/v2.1/servers/{uuid}/action",
        "action": "os-stop",
        "status": 202,
    }
    assert line["operations"] == [operation.id]
    assert line["request"] == operation.request_id == answer.headers["x-openstack-request-id"]
    assert "password" not in json.dumps(line)


def test_what_is_refused_is_a_line_and_what_is_only_read_is_none(
    guarded: Web, caplog: pytest.LogCaptureFixture
) -> None:
    assert guarded("GET", "/v2.1/servers", headers=MEMBER).status_code == 200
    assert guarded("GET", "/v2.1/servers").status_code == 401
    assert audit(caplog) == []
    assert guarded("GET", "/v2.1/os-services", headers=MEMBER).status_code == 403
    assert guarded("GET", "/v1/operations", None, headers=basic("admin\x1b[2J", "wrong")).status_code == 401
    assert guarded("DELETE", "/v2.1/servers/%1b%5b2J", headers=MEMBER).status_code == 404
    found = [(line["user"], line["status"], line.get("operations")) for line in audit(caplog)]
    assert found == [("member", 403, None), ("admin\x1b[2J", 401, None), ("member", 404, None)]


@pytest.mark.parametrize(
    ("given", "user", "reason"),
    [
        (basic("member", "secret"), "member", "wrong password"),
        (basic("nobody", "secret"), "nobody", "unknown user"),
        (basic("leaver", "secret"), "leaver", "the user stands in one of the two files only"),
        ({"Authorization": "Basic c2VjcmV0"}, "(unknown)", "no name and password in the header"),  # "secret"
        ({"Authorization": "Basic secret!"}, "(unknown)", "no name and password in the header"),
    ],
)
def test_why_a_credential_was_refused_is_in_the_audit_alone(
    guarded: Web, caplog: pytest.LogCaptureFixture, given: Any, user: str, reason: str
) -> None:
    answer = guarded("GET", "/v2.1/servers", headers=given)
    told = {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}
    assert (answer.status_code, answer.json()) == (401, {"error": told})
    (line,) = audit(caplog)
    assert (line["user"], line["reason"]) == (user, reason)
    assert line["message"].endswith(f": {reason}")
    assert not any(word in caplog.text for word in ("secret", "c2VjcmV0"))


def test_a_change_that_is_refused_by_the_state_names_no_operation(
    guarded: Web, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = seed.instance(guarded.db, "a", project_id="own", vm_state="stopped")
    guarded("POST", f"/v2.1/servers/{uuid}/action", json={"os-stop": None}, headers=MEMBER)
    (line,) = audit(caplog)
    assert (line["status"], line.get("operations"), line["action"]) == (409, None, "os-stop")


def test_an_action_that_is_refused_is_named(guarded: Web, caplog: pytest.LogCaptureFixture) -> None:
    seed.flavor(guarded.db)
    uuid = seed.instance(guarded.db, "a", project_id="own")
    access = {"addTenantAccess": {"tenant": "own"}}
    assert guarded("POST", "/v2.1/flavors/1/action", json=access, headers=MEMBER).status_code == 403
    assert guarded("POST", f"/v2.1/servers/{uuid}/action", json={"evacuate": {}}, headers=MEMBER).status_code == 403
    assert [line["action"] for line in audit(caplog)] == ["addTenantAccess", "evacuate"]


def test_a_drain_is_one_line_with_the_moves_that_it_begins_and_its_end_with_those_that_it_stops(
    guarded: Web, caplog: pytest.LogCaptureFixture
) -> None:
    seed.host(guarded.db, "compute2")
    for name in ("compute1", "compute2"):
        seed.pools(guarded.db, name, local="shared")
    for name in ("a", "b"):
        seed.instance(guarded.db, name)
    admin = {**SENT_BY, **basic("admin", "password of admin")}
    answer = guarded("POST", "/v1/drains", None, json={"host": "compute1"}, headers=admin)
    assert answer.status_code == 202, answer.text
    drain = answer.json()["drain"]
    begun = sorted(move["operation"]["id"] for move in drain["moves"])
    guarded("POST", f"/v1/drains/{drain['uuid']}/cancel", None, json={}, headers=admin)
    first, last = audit(caplog)
    assert (sorted(first["operations"]), first["request"]) == (begun, drain["request_id"])
    assert sorted(last["operations"]) == begun
