"""Quotas over HTTP, as Nova answers: shown, set, and held against what a project asks for."""

from typing import Any

import pytest
from sqlalchemy import func, select

from migrator.db.tables import instances, operations
from migrator.scheduler.requests.requests import Caller
from migrator.settings import ServerSettings
from tests.api import seed
from tests.api.harness import Answered, Api
from tests.api.seed import IMAGE
from tests.api.test_keypairs import ED25519

NOVAS = {"cores": 20, "instances": 10, "key_pairs": 100, "metadata_items": 128, "ram": 51200}
GROUPS = {"server_group_members": 10, "server_groups": 10}
FILES = {"injected_file_content_bytes": 10240, "injected_file_path_bytes": 255, "injected_files": 5}
NETWORKS = dict.fromkeys(("fixed_ips", "floating_ips", "security_group_rules", "security_groups"), -1)
ALONE = {"cores": -1, "instances": -1, "ram": -1}  # unless they are set, where every caller is the administrator
GROUPS_ALONE = dict.fromkeys(GROUPS, -1)


@pytest.fixture
def api(api: Api) -> Api:
    """Its hosts have the pool that instances' disks are in."""
    for number in "12":
        seed.pools(api.db, f"compute{number}", local=f"id-{number}")
    return api


def boot(api: Api, **more: Any) -> Answered:
    server = {"name": "a", "flavorRef": "1", "imageRef": IMAGE, "networks": "none"} | more
    return api("POST", "/servers", body={"server": server})


def put(api: Api, version: str = "2.96", project: str = "admin", **values: Any) -> Answered:
    return api("PUT", f"/os-quota-sets/{project}", version, {"quota_set": values})


def refused(answer: Answered, text: str) -> bool:
    assert (answer.status, answer.message) == (403, text)
    return True


def count(api: Api) -> int:
    with api.db.read() as connection:
        return int(connection.execute(select(func.count()).select_from(instances)).scalar_one())


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", {**NOVAS, **GROUPS_ALONE, **FILES, **NETWORKS}),
        ("2.36", {**NOVAS, **GROUPS_ALONE, **FILES}),
        ("2.57", {**NOVAS, **GROUPS_ALONE}),
        ("2.104", {**NOVAS, **GROUPS_ALONE}),
    ],
)
def test_a_projects_quotas_are_shown_as_their_microversion_has_them(
    api: Api, version: str, names: dict[str, int]
) -> None:
    expected = names | ALONE
    assert api("GET", "/os-quota-sets/p", version).json == {"quota_set": {"id": "p"} | expected}
    assert api("GET", "/os-quota-sets/p?user_id=u", version).json == {"quota_set": {"id": "p"} | expected}
    assert api("GET", "/os-quota-sets/p/defaults", version).json == {"quota_set": {"id": "p"} | expected}
    details = {name: {"limit": limit, "in_use": 0, "reserved": 0} for name, limit in expected.items()}
    assert api("GET", "/os-quota-sets/p/detail", version).json == {"quota_set": {"id": "p"} | details}
    changed = dict.fromkeys(names, 7)
    assert put(api, version, "p", **changed).json == {"quota_set": changed}
    assert api("GET", "/os-quota-sets/p", version).json == {"quota_set": {"id": "p"} | changed}
    gone = api("DELETE", "/os-quota-sets/p", version)
    assert (gone.status, gone.json) == (202, None)
    assert api("GET", "/os-quota-sets/p", version).json == {"quota_set": {"id": "p"} | expected}


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", {**NOVAS, **FILES, **NETWORKS}),
        ("2.50", {**NOVAS, **GROUPS_ALONE, **FILES}),
        ("2.57", {**NOVAS, **GROUPS_ALONE}),
    ],
)
def test_the_default_class_is_every_projects_that_has_no_other(api: Api, version: str, names: dict[str, int]) -> None:
    at = "/os-quota-class-sets/default"
    assert api("GET", at, version).json == {"quota_class_set": {"id": "default"} | names | ALONE}
    put(api, project="p", cores=3)
    changed = dict.fromkeys(names, 8)
    assert api("PUT", at, version, {"quota_class_set": changed}).json == {"quota_class_set": changed}
    shown = api("GET", "/os-quota-sets/p").json["quota_set"]
    assert (shown["cores"], shown["instances"], shown["ram"]) == (3, 8, 8)
    assert api("PUT", "/os-quota-class-sets/other", version, {"quota_class_set": {"ram": 1}}).status == 200
    assert api("GET", "/os-quota-sets/q").json["quota_set"]["ram"] == 8


@pytest.mark.parametrize(
    ("version", "values", "text"),
    [
        ("2.96", {"cores": -2}, "cores"),
        ("2.96", {"cores": 2**31}, "cores"),
        ("2.96", {"cores": "-5", "force": True}, "cores"),
        ("2.96", {"cores": "many"}, "cores"),
        ("2.96", {"cores": None}, "cores"),
        ("2.96", {"nosuch": 1}, "nosuch"),
        ("2.36", {"fixed_ips": 1}, "fixed_ips"),
        ("2.57", {"injected_files": 1}, "injected_files"),
        ("2.96", {"force": "perhaps"}, "force"),
        ("2.96", {"cores": 5, "instances": 0}, "Quota limit 0 for instances must be greater than or equal to already"),
    ],
)
def test_a_quota_that_cannot_be_is_refused_and_none_is_changed(
    api: Api, version: str, values: dict[str, Any], text: str
) -> None:
    seed.instance(api.db, "one")
    answer = put(api, version, **values)
    assert (answer.status, text in answer.message) == (400, True), answer.message
    assert api("GET", "/os-quota-sets/admin").json["quota_set"]["cores"] == -1


@pytest.mark.parametrize(("path", "field"), [("sets", "quota_set"), ("class-sets", "quota_class_set")])
def test_an_id_that_is_longer_than_one_can_be_is_refused(api: Api, path: str, field: str) -> None:
    for length, status in ((255, 200), (256, 400)):
        answer = api("PUT", f"/os-quota-{path}/{'p' * length}", body={field: {"cores": 1}})
        assert (answer.status, status == 200 or "id" in answer.message) == (status, True), answer.message


def test_force_sets_less_than_is_used(api: Api) -> None:
    seed.instance(api.db, "one")
    assert put(api, instances="0", force="true").json["quota_set"]["instances"] == 0
    assert api("GET", "/os-quota-sets/admin/detail").json["quota_set"]["instances"] == {
        "limit": 0,
        "in_use": 1,
        "reserved": 0,
    }


def test_no_quota_is_a_users(api: Api) -> None:
    for method, body in (("PUT", {"quota_set": {"cores": 1}}), ("DELETE", None)):
        answer = api(method, "/os-quota-sets/p?user_id=u", body=body)
        assert (answer.status, "user_id is not supported" in answer.message) == (400, True)


def test_a_member_sees_the_quotas_of_its_own_project_and_sets_none(api: Api) -> None:
    api.web.caller = Caller("u1", "p1", "", is_admin=False)
    for path, other in (("", 403), ("/detail", 403), ("/defaults", 200)):
        assert api("GET", f"/os-quota-sets/p1{path}").status == 200
        assert api("GET", f"/os-quota-sets/p2{path}").status == other
    assert put(api, project="p1", cores=99).status == 403


def test_servers_beyond_a_quota_are_refused_and_nothing_is_begun(api: Api) -> None:
    seed.instance(api.db, "one")
    seed.instance(api.db, "another project's", project_id="p2")
    put(api, instances=1, cores=1, ram=100)
    text = "Quota exceeded for cores, instances, ram: Requested 1, 1, 64, but already used 1, 1, 64 of 1, 1, 100 "
    assert refused(boot(api), text + "cores, instances, ram")
    put(api, instances=3, cores=-1, ram=-1)
    text = "Quota exceeded for instances: Requested 3, but already used 1 of 3 instances"
    assert refused(boot(api, min_count=3), text)
    text = "Quota exceeded for instances: Requested 3-5, but already used 1 of 3 instances"
    assert refused(boot(api, min_count=3, max_count=5), text)
    assert count(api) == 2
    assert boot(api, min_count=1, max_count=5).status == 202
    assert count(api) == 4


def test_a_resize_counts_at_once_and_frees_when_it_is_reverted(flavors: Api) -> None:
    api = flavors
    for number in "12":
        seed.pools(api.db, f"compute{number}", local=f"id-{number}")
    uuid = seed.instance(api.db, "one")
    act = {"resize": {"flavorRef": "2"}}
    put(api, cores=1, ram=100)
    text = "Quota exceeded for cores, ram: Requested 1, 64, but already used 1, 64 of 1, 100 cores, ram"
    assert refused(api("POST", f"/servers/{uuid}/action", body=act), text)
    put(api, cores=3)
    assert api("POST", f"/servers/{uuid}/action", body=act).status == 403
    put(api, ram=128)
    assert api("POST", f"/servers/{uuid}/action", body=act).status == 202
    absolute = api("GET", "/limits").json["limits"]["absolute"]
    assert (absolute["totalCoresUsed"], absolute["totalRAMUsed"], absolute["maxTotalCores"]) == (2, 128, 3)
    with api.db.write() as connection:  # reverted
        connection.execute(operations.update().values(active=False))
    absolute = api("GET", "/limits").json["limits"]["absolute"]
    assert (absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 64)


def test_the_other_quotas_are_refused_in_novas_words(api: Api) -> None:
    put(api, key_pairs=1, server_groups=1, server_group_members=1, metadata_items=1)
    assert api("POST", "/os-keypairs", body={"keypair": ED25519}).status == 201
    more = api("POST", "/os-keypairs", body={"keypair": ED25519 | {"name": "b"}})
    assert refused(more, "Quota exceeded, too many key pairs.")
    wanted = {"server_group": {"name": "g", "policy": "affinity"}}
    group = api("POST", "/os-server-groups", body=wanted).json["server_group"]["id"]
    assert refused(api("POST", "/os-server-groups", body=wanted), "Quota exceeded, too many server groups.")
    server = {"name": "a", "flavorRef": "1", "imageRef": IMAGE, "networks": "none", "max_count": 2}
    body = {"server": server, "os:scheduler_hints": {"group": group}}
    assert refused(api("POST", "/servers", body=body), "Quota exceeded, too many servers in group")
    assert refused(boot(api, metadata={"a": "1", "b": "2"}), "Maximum number of metadata items exceeds 1")
    assert count(api) == 0
    uuid = seed.instance(api.db, "one")
    more = api("POST", f"/servers/{uuid}/metadata", body={"metadata": {"b": "2"}})
    assert refused(more, "Maximum number of metadata items exceeds 1")
    put(api, metadata_items=-1)
    assert api("POST", f"/servers/{uuid}/metadata", body={"metadata": {"b": "2"}}).status == 200


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({}, {**ALONE, **GROUPS_ALONE}),
        ({"quota_cores": 7}, {**ALONE, **GROUPS_ALONE, "cores": 7}),
        ({"auth_strategy": "http_basic"}, {**NOVAS, **GROUPS}),
        ({"auth_strategy": "http_basic", "quota_cores": 7}, {**NOVAS, **GROUPS, "cores": 7}),
    ],
)
def test_one_administrator_is_limited_by_what_is_set_and_tenants_by_novas_defaults(
    given: dict[str, Any], limits: dict[str, int]
) -> None:
    quotas = ServerSettings(**given).quotas
    assert {name: quotas[name] for name in limits} == limits
