"""Listing instances: filters, order and pages, on both databases."""

import json
from dataclasses import replace
from typing import Any

import pytest

from migrator import supported
from migrator.api.json_schema import check
from migrator.api.v2_1.servers.query import Rights, parse
from migrator.api.v2_1.servers.schemas import LIST_QUERY
from migrator.db import aggregates, expressions, instance_filters, instance_list
from migrator.db.engine import Database
from migrator.db.expressions import Search
from migrator.db.expressions import parse as parse_expression
from migrator.errors import BadRequest, Forbidden
from tests.api import seed

ADMIN = Rights("admin", is_admin=True, all_tenants=True, all_filters=True, rule="")
MEMBER = Rights(
    "demo", is_admin=False, all_tenants=False, all_filters=False, rule="os_compute_api:servers:index:get_all_tenants"
)


PATTERNS = (
    *("name", "ip", "ip6", "description", "hostname", "access_ip_v4", "access_ip_v6"),
    *("key_name", "node", "availability_zone", "reservation_id"),
)


@pytest.fixture
def seeded(db: Database) -> Database:
    seed.host(db, "compute1")
    seed.host(db, "compute2", disabled=True)
    seed.instance(db, "web-1", created_at=seed.BEGAN, updated_at=seed.BEGAN + 1, tags=["a", "b"])
    second = {"host": "compute2", "key_name": "ops-key", "availability_zone": "pinned"}
    seed.instance(db, "web-2", created_at=seed.BEGAN + 10, updated_at=None, tags=["b"], **second)
    stopped = {"vm_state": "stopped", "description": "ledger", "key_name": "ops"}
    seed.instance(db, "db-1", created_at=seed.BEGAN + 20, tags=["c"], **stopped)
    seed.instance(db, "db-2", created_at=seed.BEGAN + 30, task_state="migrating", locked_by="admin")
    seed.instance(
        db,
        "theirs",
        project_id="demo",
        networks=[{"network": "lan", "mac": "fa:16:3e:0:0:1", "ip": "10.1.2.3"}],
    )
    seed.instance(db, "gone", deleted=True, vm_state="deleted")
    with db.write() as connection:
        zone = aggregates.create(connection, "ssd", {"availability_zone": "fast"})
        aggregates.add_host(connection, zone.id, "compute2")
    return db


def names(db: Database, caller: Rights = ADMIN, version: tuple[int, int] = (2, 96), **params: str) -> list[str]:
    asked = {name.replace("__", "-"): value.split("|") for name, value in params.items()}
    query = parse(asked, version, caller, most=1000)
    if query is None:
        return []
    with db.read() as connection:
        return [row.name for row in instance_list.page(connection, query, detail=False)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"all_tenants": "1", "host": "compute1"}, ["theirs", "db-2", "db-1", "web-1"]),
        ({"name": "^web-.$"}, ["web-2", "web-1"]),
        ({"name": "web-1"}, ["web-1"]),
        ({"name": "nosuch"}, []),
        ({"status": "SHUTOFF"}, ["db-1"]),
        ({"status": "active"}, ["db-2", "web-2", "web-1"]),
        ({"status": "MIGRATING"}, ["db-2"]),
        ({"status": "DELETED"}, ["gone"]),
        ({"deleted": "True", "all_tenants": "True"}, ["gone"]),
        ({"deleted": "False", "all_tenants": "True"}, ["theirs", "db-2", "db-1", "web-2", "web-1"]),
        ({"tenant_id": "demo", "all_tenants": "1"}, ["theirs"]),
        ({"tenant_id": "demo"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"project_id": "demo", "all_tenants": "0"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"tags": "a,b"}, ["web-1"]),
        ({"tags__any": "a,c"}, ["db-1", "web-1"]),
        ({"not__tags": "b"}, ["db-2", "db-1"]),
        ({"not__tags__any": "a,c"}, ["db-2", "web-2"]),
        ({"ip": r"^10\.1\.", "all_tenants": "1"}, ["theirs"]),
        ({"locked": "true"}, ["db-2"]),
        ({"description": "ledg"}, ["db-1"]),
        ({"flavor": "1", "power_state": "1"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"flavor": "nosuch"}, []),
        ({"sort_key": "display_name", "sort_dir": "asc"}, ["db-1", "db-2", "web-1", "web-2"]),
        ({"sort_key": "host|display_name", "sort_dir": "desc|asc"}, ["web-2", "db-1", "db-2", "web-1"]),
        ({"sort_key": "launch_index", "sort_dir": "asc"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"locked_by": "admin"}, ["db-2"]),
        ({"locked_by": "owner"}, []),
        ({"config_drive": "true"}, []),
        ({"config_drive": "false"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"progress": "0"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"progress": "7"}, []),
        ({"key_name": "^ops"}, ["db-1", "web-2"]),
        ({"key_name": "key$"}, ["web-2"]),
        ({"node": "compute[2-9]"}, ["web-2"]),
        ({"node": "compute"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"host": "compute"}, []),
        ({"availability_zone": "^fast$"}, ["web-2"]),
        ({"availability_zone": "nova"}, ["db-2", "db-1", "web-1"]),
        ({"sort_key": "availability_zone|display_name", "sort_dir": "asc"}, ["web-2", "db-1", "db-2", "web-1"]),
        ({"reservation_id": "^r-.*h$"}, ["db-2", "db-1", "web-2", "web-1"]),
        ({"limit": "2"}, ["db-2", "db-1"]),
        ({"limit": "0"}, []),
    ],
)
def test_filters(seeded: Database, params: dict[str, Any], expected: list[str]) -> None:
    assert names(seeded, **params) == expected


@pytest.mark.parametrize("row", supported.REFUSED_FILTERS, ids=lambda row: row.name)
def test_a_filter_that_compares_nothing_is_refused_by_name_and_ignored_for_others(
    seeded: Database, row: supported.Refused
) -> None:
    with pytest.raises(BadRequest, match=row.name):
        names(seeded, ADMIN, (2, 96), **{row.name: "x"})
    assert names(seeded, MEMBER, (2, 96), **{row.name: "x"}) == ["theirs"]


def test_every_filter_of_the_schema_is_honoured_or_refused(seeded: Database) -> None:
    """One that nothing matches finds nothing: an ignored one would find all."""
    scopes = {"all_tenants", "deleted", "limit", "marker", "sort_key", "sort_dir", "changes-since"}
    refused = {row.name for row in supported.REFUSED_FILTERS}
    nothing = {"progress": "99", "config_drive": "true", "power_state": "7", "status": "SUSPENDED"}
    for name in set(LIST_QUERY[0][1]["properties"]) - scopes - refused:
        asked = {"all_tenants": "1", name: nothing.get(name, "nosuch")}
        assert names(seeded, ADMIN, (2, 96), **asked) == [], name


def test_pages_join_without_gap_or_overlap(seeded: Database) -> None:
    for sort in ({}, {"sort_key": "host|updated_at", "sort_dir": "asc|desc"}):
        whole = parse({k: v.split("|") for k, v in sort.items()}, (2, 96), ADMIN, most=1000)
        assert whole is not None
        with seeded.read() as connection:
            expected = [row.uuid for row in instance_list.page(connection, whole, detail=False)]
        found: list[str] = []
        while len(found) < len(expected):
            params = {k: v.split("|") for k, v in sort.items()} | {"limit": ["1"]}
            if found:
                params["marker"] = [found[-1]]
            query = parse(params, (2, 96), ADMIN, most=1000)
            assert query is not None
            with seeded.read() as connection:
                found += [row.uuid for row in instance_list.page(connection, query, detail=False)]
        assert found == expected


def test_others_see_their_project_only(seeded: Database) -> None:
    assert names(seeded, MEMBER) == ["theirs"]
    assert names(seeded, MEMBER, host="compute2") == ["theirs"], "a filter for administrators is not obeyed"
    with pytest.raises(Forbidden, match="servers:index:get_all_tenants"):
        names(seeded, MEMBER, all_tenants="1")


def test_changes_since_includes_the_deleted(seeded: Database) -> None:
    assert names(seeded, changes__since="2026-09-21T14:14:00Z") == []
    assert names(seeded, changes__since="2026-09-21T14:13:22Z") == ["gone", "db-2", "db-1", "web-2"]
    assert names(seeded, changes__since="2026-09-21T14:13:22Z", deleted="false") == ["db-2", "db-1", "web-2"]
    assert names(seeded, changes__before="2026-09-21T14:13:21+00:00") == ["web-1"]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"marker": "nosuch"}, r"marker \[nosuch\] not found"),
        ({"name": "(["}, "Invalid regular expression for name"),
        ({"changes__since": "bad"}, "'bad' is not a 'date-time'"),
        ({"all_tenants": "perhaps"}, "Invalid value 'perhaps'"),
        ({"sort_key": "host", "sort_dir": "up"}, "^Invalid input received: Unknown sort direction, must be"),
        (
            {"sort_key": "host", "sort_dir": "asc|asc"},
            "^Invalid input received: Sort direction size exceeds sort key size$",
        ),
    ],
)
def test_refusals(seeded: Database, params: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        names(seeded, **params)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "(?P<a>w)eb-1"}, ["web-1"]),
        ({"name": "(?i)WEB-1"}, ["web-1"]),
        ({"name": r"\Aweb-\d\z"}, ["web-2", "web-1"]),
        ({"name": "^web", "sort_key": "display_name", "sort_dir": "asc", "limit": "1"}, ["web-1"]),
        ({"name": ".", "limit": "3"}, ["db-2", "db-1", "web-2"]),
        ({"name": "^[wd]e?b-1$", "description": "ledg"}, ["db-1"]),
        ({"ip6": ".", "all_tenants": "1"}, []),
    ],
)
def test_a_pattern_means_the_same_on_both_databases(
    seeded: Database, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], expected: list[str]
) -> None:
    for at_once in (2000, 2):
        monkeypatch.setattr(instance_filters, "_AT_ONCE", at_once)
        assert names(seeded, **params) == expected


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a?){99}$", "(.*)*x", r"(\w+\s?)*$", "((a{30}){30})?$"])
def test_no_pattern_backtracks(seeded: Database, pattern: str) -> None:
    seed.instance(seeded, "a" * 254 + "!")
    assert names(seeded, name=pattern + "never") == []


@pytest.mark.parametrize("pattern", ["(z?z??z?){999}b", "(z?z??){800}(y?){99}", r"(?i)[\pL\pN]{4}x"])
def test_a_pattern_that_makes_a_large_program_is_refused_by_name(seeded: Database, pattern: str) -> None:
    for name in PATTERNS:
        with pytest.raises(BadRequest, match=f"^Invalid regular expression for {name}: it makes a program of [0-9]+ "):
            names(seeded, ADMIN, (2, 96), **{name: pattern})


def test_a_search_ends_when_it_has_used_its_time_whatever_is_left_to_look_at() -> None:
    now = iter(range(1000))  # processor time, in s, each time that it is asked
    search = Search({"name": parse_expression("name", "^a")}, clock=lambda: next(now) / 2.5)
    assert [search.found({"name": text}) for text in ("a", "b")] == [True, False]
    with pytest.raises(
        BadRequest, match=r"^Invalid regular expression for name: to hold it against the servers takes "
    ):
        search.found({"name": "c"})


def test_one_search_has_a_time_for_all_rows_together(seeded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "SEARCH_S", -1.0)
    assert names(seeded, name="web-1") == ["web-1"]
    with pytest.raises(BadRequest, match="of the processor"):
        names(seeded, name="^web-1")


@pytest.mark.parametrize("pattern", ["(" * 5000, "(((a{900}){900}){900})", r"\1(a)", "(?=a)", "(?<!a)", "[" * 30])
def test_a_pattern_that_cannot_be_matched_in_time_is_refused_by_name(seeded: Database, pattern: str) -> None:
    for name in PATTERNS:
        with pytest.raises(BadRequest, match=f"^Invalid regular expression for {name}: "):
            names(seeded, ADMIN, (2, 96), **{name: pattern})


def test_a_sort_key_that_is_repeated_orders_nothing_more(seeded: Database) -> None:
    first = names(seeded, sort_key="display_name", sort_dir="asc", limit="1")
    query = parse({"sort_key": ["display_name", "kernel_id"] * 1500, "sort_dir": ["asc"]}, (2, 96), ADMIN, most=1000)
    assert query is not None
    assert len(instance_filters.keys(query)) == 2
    with seeded.read() as connection:
        rows = instance_list.page(connection, query, detail=False)
    assert [rows[0].name] == first
    marked = replace(query, marker=rows[0].uuid)
    with seeded.read() as connection:
        assert instance_list.page(connection, marked, detail=False) == rows[1:]


@pytest.mark.parametrize(("version", "number"), [((2, 1), 51), ((2, 73), 30)])
def test_a_sort_key_that_there_is_not_is_answered_with_those_that_there_are(
    version: tuple[int, int], number: int
) -> None:
    asked = {"sort_key": ["nosuch"]}
    with pytest.raises(BadRequest) as refused:
        check(next(schema for since, schema in LIST_QUERY[::-1] if since <= version), asked, query=True)
    message, _, named = refused.value.message.partition(" is not one of ")
    assert message == "Invalid input for query parameters sort_key. Value: nosuch. 'nosuch'"
    keys = json.loads(named.replace("'", '"'))
    assert (len(keys), {"vm_state", "uuid", "locked"} <= set(keys)) == (number, True)


def test_more_tags_than_an_instance_can_have_are_refused() -> None:
    for name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        asked = {name: [",".join(f"t{number}" for number in range(2000))]}
        with pytest.raises(BadRequest, match=f"^{name}: the number of tags exceeded the per-server limit 50"):
            parse(asked, (2, 96), ADMIN, most=1000)
        assert parse({name: ["a," * 2000 + "a"]}, (2, 96), ADMIN, most=1000) is not None


def test_host_states(seeded: Database) -> None:
    seed.host(seeded, "compute3", last_seen=seed.BEGAN - 1e8)
    seed.host(seeded, "compute4", forced_down=True)
    with seeded.read() as connection:
        states = instance_list.host_states(connection, ["compute1", "compute2", "compute3", "compute4", "nosuch"], 60)
    assert states == {"compute1": "UP", "compute2": "MAINTENANCE", "compute3": "UNKNOWN", "compute4": "DOWN"}
