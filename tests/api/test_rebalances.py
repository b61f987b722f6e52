"""/v1/rebalances: what is proposed by measured use, accepted as a drain, checked when it begins, and compared after."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from migrator.db import instances as instance_rows
from migrator.db import server_heartbeat, use_samples
from migrator.db.clock import now
from migrator.db.engine import Connection, Database
from migrator.db.tables import drains, operations, rebalances, surveys, use_hours
from tests.api import seed
from tests.api.harness import Web


def measured(web: Web, **cpus: float) -> None:
    """Every instance uses so many processors, named by its name; a host those of its instances. Agents say so, too."""
    with web.db.write() as connection:
        connection.execute(delete(use_hours))
        connection.execute(delete(surveys))
        hour = int(now(connection) // use_samples.HOUR_S)
        totals = {"compute1": 0.0, "compute2": 0.0}
        for row in instance_rows.on_hosts(connection):
            totals[str(row.host)] += cpus.get(row.name, 0.0)
            _use(connection, hour, str(row.host), row.uuid, cpus.get(row.name, 0.0))
        for name, used in totals.items():
            _use(connection, hour, name, "", used)
            body = {"use": {"over_s": 60, "cpus": used, "memory_mb": 512}}
            told = {"host": name, "received_at": server_heartbeat.clock(connection), "body": body}
            connection.execute(surveys.insert().values(**told))


def _use(connection: Connection, hour: int, host: str, uuid: str, cpus: float) -> None:
    sums = {"samples": 1, "cpus": cpus, "cpus_peak": cpus, "waiting_cpus": 0.0, "memory_mb": 64, "memory_peak_mb": 64}
    connection.execute(use_hours.insert().values(hour=hour, host=host, instance_uuid=uuid, **sums))


def ask(web: Web, **more: Any) -> Any:
    answer = web("POST", "/v1/rebalances", None, json=more)
    assert answer.status_code == 201, answer.text
    return answer.json()["rebalance"]


def accept(web: Web, uuid: str, *servers: str) -> Any:
    return web("POST", f"/v1/rebalances/{uuid}/accept", None, json={"servers": list(servers)})


def states(found: Any) -> dict[str, str]:
    return {move["name"]: move["state"] for move in found["moves"]}


@pytest.fixture
def hot(web: Web) -> Web:
    """compute1 (8 processors) is hot by five instances; compute2 has none."""
    for name in ("compute1", "compute2"):
        seed.pools(web.db, name, local="shared")
    for name in "abcde":
        seed.instance(web.db, name)
    measured(web, a=1.6, b=1.6, c=1.6, d=1.6, e=1.6)
    return web


def test_a_rebalance_proposes_and_begins_nothing(hot: Web) -> None:
    found = ask(hot)
    assert [(move["source"], move["destination"], move["state"]) for move in found["moves"]] == [
        ("compute1", "compute2", "proposed")
    ] * 2
    assert all(move["gain_s"] > move["cost_s"] > 0 for move in found["moves"])
    hosts = {one["host"]: (one["before"]["cpus"], one["after"]["cpus"]) for one in found["hosts"]}
    assert hosts == {"compute1": (1.0, 0.6), "compute2": (0.0, 0.4)}
    with hot.db.read() as connection:
        assert connection.execute(select(func.count()).select_from(operations)).scalar_one() == 0
    (listed,) = hot("GET", "/v1/rebalances", None).json()["rebalances"]
    assert (listed["uuid"], listed["proposed"], listed["accepted"]) == (found["uuid"], 2, 0)


def test_accepted_moves_are_ordinary_live_migrations_one_by_one_or_all(hot: Web) -> None:
    found = ask(hot)
    first, second = found["moves"]
    answer = accept(hot, found["uuid"], first["server"])
    assert answer.status_code == 202, answer.text
    shown = answer.json()["rebalance"]
    assert states(shown) == {first["name"]: "moving", second["name"]: "proposed"}
    assert accept(hot, found["uuid"], first["server"]).status_code == 409
    shown = accept(hot, found["uuid"]).json()["rebalance"]
    assert set(states(shown).values()) == {"moving"}
    (drain,) = shown["drains"]
    moves = hot("GET", f"/v1/drains/{drain}", None).json()["drain"]["moves"]
    assert {(move["operation"]["kind"], move["destination"]) for move in moves} == {("live-migration", "compute2")}
    other = ask(hot)
    assert accept(hot, other["uuid"]).status_code == 409 if other["moves"] else True


def test_auto_accepts_all_that_is_proposed(hot: Web) -> None:
    assert set(states(ask(hot, auto=True)).values()) == {"moving"}


def test_a_destination_that_is_busier_by_now_is_not_gone_to(hot: Web) -> None:
    found = ask(hot)
    with hot.db.write() as connection:
        busy = {"use": {"over_s": 60, "cpus": 7.0, "memory_mb": 512}}
        connection.execute(update(surveys).where(surveys.c.host == "compute2").values(body=busy))
    shown = accept(hot, found["uuid"]).json()["rebalance"]
    assert set(states(shown).values()) == {"left"}
    events = hot("GET", f"/v1/drains/{shown['drains'][0]}", None).json()["drain"]["events"]
    assert any("compute2 is busier than was planned, at 88% of its processors" in one["message"] for one in events)


def test_what_is_too_old_is_not_accepted(hot: Web) -> None:
    found = ask(hot)
    with hot.db.write() as connection:
        connection.execute(update(rebalances).values(expires_at=1.0))
    answer = accept(hot, found["uuid"])
    assert (answer.status_code, "too old" in answer.text) == (409, True)
    shown = hot("GET", f"/v1/rebalances/{found['uuid']}", None).json()["rebalance"]
    assert set(states(shown).values()) == {"expired"}


def _now_quiet(db: Database) -> str:
    """Hours that began an hour ago, and do not end within the next."""
    with db.read() as connection:
        hour = int(now(connection) // 3600) % 24
    return f"{(hour - 1) % 24:02}:00-{(hour + 2) % 24:02}:00"


@pytest.mark.parametrize(
    ("setting", "message"), [("rebalance_quiet_hours", "quiet hours"), ("rebalance_at_most_per_day", "1 moves began")]
)
def test_nothing_begins_in_quiet_hours_or_beyond_the_days_limit(
    hot: Web, tmp_path: Path, setting: str, message: str
) -> None:
    found = ask(hot)
    changed: dict[str, Any] = {setting: _now_quiet(hot.db) if setting.endswith("hours") else 1}
    other = Web(hot.db, tmp_path, **changed)
    if setting == "rebalance_at_most_per_day":
        shown = accept(other, found["uuid"], found["moves"][0]["server"]).json()["rebalance"]
        assert states(shown)[found["moves"][0]["name"]] == "moving"
    shown = accept(other, found["uuid"]).json()["rebalance"]
    assert "waiting" in states(shown).values()
    drain = other("GET", f"/v1/drains/{shown['drains'][0]}", None).json()["drain"]
    assert (drain["state"], message in drain["note"]) == ("blocked", True)
    other.services.db.close()


def test_packing_proposes_to_empty_a_host(hot: Web) -> None:
    seed.instance(hot.db, "f", host="compute2")
    measured(hot, a=0.1, b=0.1, c=0.1, d=0.1, e=0.1, f=0.1)
    found = ask(hot, objective="pack")
    assert found["emptied"] == ["compute2"]
    assert [(move["name"], move["destination"]) for move in found["moves"]] == [("f", "compute1")]


def test_checks_and_metadata_keep_instances_where_they_are(hot: Web) -> None:
    seed.pools(hot.db, "compute2", other="elsewhere")  # it has no pool for their disks
    assert ask(hot)["moves"] == []
    (left,) = ask(hot)["left"]
    assert left["host"] == "compute1"
    assert "storage" in left["why"]


def test_what_was_measured_afterwards_stands_beside_what_was_promised(hot: Web) -> None:
    found = ask(hot)
    assert {one["measured"] for one in found["hosts"]} == {None}
    uuid = accept(hot, found["uuid"]).json()["rebalance"]["drains"][0]
    with hot.db.write() as connection:
        ended = now(connection)
        connection.execute(update(drains).where(drains.c.uuid == uuid).values(finished_at=ended, active=False))
        _use(connection, int(ended // use_samples.HOUR_S) + 1, "compute2", "", 4.0)
    shown = hot("GET", f"/v1/rebalances/{found['uuid']}", None).json()["rebalance"]
    measured_cpus = {one["host"]: one["measured"] and one["measured"]["cpus"] for one in shown["hosts"]}
    assert measured_cpus == {"compute1": None, "compute2": 0.5}


@pytest.mark.parametrize(
    ("body", "status"), [({"objective": "magic"}, 400), ({"at_most": 0}, 400), ({"horizon_s": "long"}, 400)]
)
def test_a_rebalance_that_cannot_be_is_refused(hot: Web, body: Any, status: int) -> None:
    assert hot("POST", "/v1/rebalances", None, json=body).status_code == status


def test_what_is_not_there_or_not_proposed_is_refused(hot: Web) -> None:
    assert hot("GET", "/v1/rebalances/nothing", None).status_code == 404
    assert accept(hot, "nothing").status_code == 404
    assert accept(hot, ask(hot)["uuid"], "nobody").status_code == 400
