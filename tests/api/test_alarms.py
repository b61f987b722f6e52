"""GET /v1/alarms and the number of open alarms in /metrics."""

from migrator.alarms import AlarmKind
from migrator.db import alarms
from tests.api.harness import Web
from tests.api.test_metrics import scraped

UUID = "11111111-2222-3333-4444-555555555555"


def seed_alarms(web: Web) -> None:
    with web.db.write() as connection:
        alarms.raise_alarm(connection, AlarmKind.DOMAIN_GONE, "it is gone", host="compute1", instance_uuid=UUID)
        alarms.raise_alarm(connection, AlarmKind.UNPROVEN_CLAIM, "it lies", host="compute2", details={"claimed": 2})


def test_alarms_say_what_was_found_where_since_when_and_what_to_do(web: Web) -> None:
    seed_alarms(web)
    answer = web("GET", "/v1/alarms", None).json()
    assert answer["total"] == 2
    lies, gone = answer["alarms"]
    assert (lies["kind"], lies["host"], lies["instance"], lies["details"]) == (
        "unproven-claim",
        "compute2",
        None,
        {"claimed": 2},
    )
    assert (gone["message"], gone["instance"], gone["cleared_at"]) == ("it is gone", UUID, None)
    assert UUID in gone["advice"]
    assert gone["since"].startswith("20")
    for query, kinds in (
        (f"instance={UUID}", ["domain-gone"]),
        ("host=compute2", ["unproven-claim"]),
        ("kind=domain-gone&kind=no-record", ["domain-gone"]),
        ("host=nobody", []),
        ("limit=1", ["unproven-claim"]),
    ):
        assert [one["kind"] for one in web("GET", f"/v1/alarms?{query}", None).json()["alarms"]] == kinds


def test_what_is_over_is_shown_only_when_asked_for(web: Web) -> None:
    seed_alarms(web)
    with web.db.write() as connection:
        alarms.clear_alarm(connection, AlarmKind.UNPROVEN_CLAIM, host="compute2")
    assert [one["kind"] for one in web("GET", "/v1/alarms", None).json()["alarms"]] == ["domain-gone"]
    over = web("GET", "/v1/alarms?cleared=true", None).json()
    assert (len(over["alarms"]), over["total"]) == (2, 1)
    assert over["alarms"][0]["cleared_at"] is not None


def test_an_unknown_kind_or_a_nul_is_a_clear_answer(web: Web) -> None:
    for query in ("kind=nosuch", "host=%00", "limit=0", "limit=x"):
        answer = web("GET", f"/v1/alarms?{query}", None)
        assert answer.status_code == 400, query
        assert answer.json()["error"]["code"] == "bad_request"


def test_metrics_count_the_open_alarms_of_every_kind(web: Web) -> None:
    assert {scraped(web)["alarms", kind.value] for kind in AlarmKind} == {0}
    seed_alarms(web)
    found = scraped(web)
    assert (found["alarms", "domain-gone"], found["alarms", "no-record"]) == (1, 0)
