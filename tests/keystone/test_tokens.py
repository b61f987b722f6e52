"""Tokens of a real Keystone: which are let in, for how long, and what happens while it is away."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.api import seed
from tests.keystone.cloud import Keystone
from tests.keystone.conftest import Door
from tests.ports import free_port

LIST, SERVICES = "/v2.1/servers", "/v2.1/os-services"


def test_a_token_reaches_its_project_and_what_its_roles_allow(door: Door, keystone: Keystone) -> None:
    own = seed.instance(door.db, "a", project_id=keystone.projects["own"])
    other = seed.instance(door.db, "b", project_id=keystone.projects["other"])
    token = keystone.token("the-member", project="own")
    assert [server["id"] for server in door.get(LIST, token).json()["servers"]] == [own]
    assert door.get(f"{LIST}/{other}", token).status_code == 404
    assert door.get(f"{LIST}/{own}", token).json()["server"]["tenant_id"] == keystone.projects["own"]
    assert door.get(SERVICES, token).status_code == 403
    assert door.get(SERVICES, keystone.token("the-admin", project="own")).status_code == 200
    assert door.get("/metrics", keystone.token("the-admin", project="own")).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 9000, "gAAAAA" + "x" * 200, "gAAAAA\xe9"])
def test_what_is_no_token_is_challenged(door: Door, keystone: Keystone, token: str) -> None:
    answer = door.web("GET", LIST, headers={"X-Auth-Token": token.encode("latin-1")} if token else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'
    message = "The request you have made requires authentication."
    assert answer.json() == {"error": {"code": 401, "title": "Unauthorized", "message": message}}


def test_keystone_is_asked_once_for_a_token_however_many_requests_there_are(door: Door, keystone: Keystone) -> None:
    token = keystone.token("the-reader", project="own")
    for _ in range(5):
        assert door.get(LIST, token).status_code == 200
    assert door.asked.count == 1
    for _ in range(5):
        assert door.get(LIST, "nonsense").status_code == 401
    assert door.asked.count == 2, "what it refused is remembered, too"


def test_a_revoked_token_is_refused_within_the_caches_time(door: Door, keystone: Keystone) -> None:
    token = keystone.token("the-reader", project="own")
    assert door.get(LIST, token).status_code == 200
    keystone.revoke(token)
    assert door.get(LIST, token).status_code == 200
    door.clock.now += 300
    assert door.get(LIST, token).status_code == 401


def test_a_disabled_user_and_a_changed_password_count_likewise(door: Door, keystone: Keystone) -> None:
    ident = keystone.user("leaver", "member", "own")
    token = keystone.token("leaver", project="own")
    assert door.get(LIST, token).status_code == 200
    keystone.patch(f"/users/{ident}", {"user": {"enabled": False}})
    door.clock.now += 300
    assert door.get(LIST, token).status_code == 401


def test_the_audit_tells_apart_what_keystone_tells_apart(
    door: Door, keystone: Keystone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "migrator.audit")
    keystone.user("tenant", "member", "closing")
    revoked, closed = keystone.token("the-reader", project="own"), keystone.token("tenant", project="closing")
    keystone.revoke(revoked)
    keystone.patch(f"/projects/{keystone.projects['closing']}", {"project": {"enabled": False}})
    for token in (revoked, closed, "nonsense", "gAAAAA" + "x" * 200):
        assert door.get(LIST, token).status_code == 401
    found = [record.__dict__["reason"] for record in caplog.records if record.name == "migrator.audit"]
    own = "revoked, or its user is disabled or changed, or it expired long ago"
    assert found == [own, "its project or domain is disabled", "unknown token", "unknown token"]
    assert not any(token in caplog.text for token in (revoked, closed))


def test_an_application_credential_acts_as_its_user(door: Door, keystone: Keystone) -> None:
    ident, token = keystone.id_of("the-member"), keystone.token("the-member", project="own")
    wanted = {"application_credential": {"name": "robot", "roles": [{"name": "reader"}]}}
    path = f"/users/{ident}/application_credentials"
    made = keystone.post(path, wanted, headers={"X-Auth-Token": token})["application_credential"]
    credential = {"id": made["id"], "secret": made["secret"]}
    asked = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
    robots = keystone.issued(asked)
    assert door.get(LIST, robots).status_code == 200
    refused = door.web("POST", "/v2.1/servers", headers={"X-Auth-Token": robots}, json={})
    assert "Policy doesn't allow os_compute_api:servers:create" in refused.text


def test_a_token_for_the_system_passes_rules_of_the_system_alone(door: Door, keystone: Keystone) -> None:
    token = keystone.token("admin", system=True)
    assert door.get(LIST, token).status_code == 403
    assert door.get(SERVICES, token).status_code == 403
    assert door.get("/v1/operations", token).status_code == 200
    assert door.get("/metrics", token).status_code == 200


@pytest.mark.parametrize("scope", [{"domain": True}, {}])
def test_a_token_for_no_project_reaches_no_servers(door: Door, keystone: Keystone, scope: dict[str, Any]) -> None:
    for role in ("admin", "reader"):
        keystone.http.put(f"/domains/default/users/{keystone.id_of('the-reader')}/roles/{keystone.role_ids[role]}")
    nameless, other = (seed.instance(door.db, "a", project_id=project) for project in ("", "other"))
    token = keystone.token("the-reader", **scope)
    paths = (
        LIST,
        f"{LIST}?all_tenants=1",
        f"{LIST}/{nameless}",
        f"{LIST}/{other}",
        SERVICES,
        "/v1/operations",
        "/metrics",
    )
    assert {path: door.get(path, token).status_code for path in paths} == dict.fromkeys(paths, 403)


def test_a_keystone_that_is_away_is_503_and_known_tokens_pass(door_to: Callable[..., Door], keystone: Keystone) -> None:
    away = door_to(f"http://127.0.0.1:{free_port()}/v3")
    answer = away.get(LIST, keystone.token("the-reader", project="own"))
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert "WWW-Authenticate" not in answer.headers
    assert away.get("/v1/operations", "any").json()["error"]["code"] == "unavailable"
    assert away.web("GET", "/").status_code == 200


def test_this_servers_own_credential_that_is_wrong_is_503(
    door_to: Callable[..., Door], keystone: Keystone, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = door_to(keystone.url, keystone_password="wrong")
    assert wrong.get(LIST, keystone.token("the-reader", project="own")).status_code == 503
    assert "Keystone does not take this server's own credential" in caplog.text
    assert "wrong" not in caplog.text.replace("wrong.get", "")


def test_its_own_application_credential_serves_as_well(door_to: Callable[..., Door], keystone: Keystone) -> None:
    token = keystone.token("migrator", "migrator password", project="service")
    path = f"/users/{keystone.id_of('migrator')}/application_credentials"
    wanted = {"application_credential": {"name": "validator"}}
    made = keystone.post(path, wanted, headers={"X-Auth-Token": token})["application_credential"]
    own = {"keystone_application_credential_id": made["id"], "keystone_application_credential_secret": made["secret"]}
    asking = door_to(keystone.url.removesuffix("/v3"), keystone_password="", **own)
    assert asking.get(LIST, keystone.token("the-reader", project="own")).status_code == 200


def test_clients_that_look_for_identity_here_are_sent_to_keystone(door: Door, keystone: Keystone) -> None:
    found = door.web("GET", "/identity/v3", None).json()["version"]["links"]
    assert found == [{"rel": "self", "href": f"{keystone.url}/"}]


def test_of_many_requests_with_one_token_at_once_one_asks(door: Door, keystone: Keystone) -> None:
    headers = {"x-auth-token": keystone.token("the-reader", project="own")}

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(door.strategy.verified(headers) for _ in range(50)))

    assert {identity.project_id for identity in asyncio.run(crowd())} == {keystone.projects["own"]}
    assert door.asked.count == 1
