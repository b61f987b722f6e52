"""Recoveries over the API, and how several servers begin them; what becomes of the guests is carried out in
tests/world."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.alarms import AlarmKind
from migrator.db import alarms
from migrator.db.tables import drain_moves, drains, hosts, instances, operations
from migrator.scheduler.fleet import recovery, silent_hosts
from migrator.scheduler.fleet.plan.ha_policy import HA_KEY
from migrator.scheduler.fleet.plan.loss_response import lost_together
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import third_host
from tests.api.test_drains_of_two_servers import at_once

POLICY: dict[str, Any] = {"ha_policy": "evacuate"}


@pytest.fixture
def lost(web: Web, tmp_path: Path) -> Web:
    """compute3 was forced down, as ``lost_host`` has it."""
    third_host(web, last_seen=1.0, forced_down=True)
    return Web(web.db, tmp_path / "ha", **POLICY)


def look(web: Web) -> None:
    recovery.check(web.db, web.services.settings)
    web.services.drains.sweep()


def every(web: Web, table: Any) -> list[Any]:
    with web.db.read() as connection:
        return list(connection.execute(select(table)).all())


def counted(web: Web) -> list[str]:
    with web.db.read() as connection:
        return lost_together(silent_hosts.read(connection, web.services.settings).hosts)


def test_a_recovery_is_shown_with_its_evidence_and_every_instance(lost: Web) -> None:
    look(lost)
    (listed,) = lost("GET", "/v1/recoveries", None).json()["recoveries"]
    shown = lost("GET", f"/v1/recoveries/{listed['uuid']}", None).json()["recovery"]
    assert (shown["host"], shown["kind"], shown["user_id"]) == ("compute3", "evacuation", "ha_policy")
    evidence = {"kind": "forced_down", "by": "admin", "words": "forced down by admin"}
    assert shown["evidence"] == listed["evidence"] == evidence | {"at": "2026-09-21T14:13:20.000000"}
    moves = {move["name"]: move for move in shown["moves"]}
    assert (moves["kept"]["state"], moves["kept"]["operation"]["kind"]) == ("moving", "evacuation")
    assert moves["local"]["state"] == "stuck", "what only the lost host has is never given up without a person"
    assert "only the lost host has them" in moves["local"]["why"]
    assert lost("GET", "/v1/recoveries?active=false", None).json() == {"recoveries": []}
    assert lost("GET", "/v1/recoveries?host=compute1", None).json() == {"recoveries": []}
    other = lost("GET", "/v1/recoveries/77", None)
    assert (other.status_code, other.json()["error"]["message"]) == (404, "Recovery 77 could not be found.")


def test_a_drain_is_no_recovery(lost: Web) -> None:
    begun = lost("POST", "/v1/hosts/compute3/evacuate", None, json={}).json()["drain"]
    assert lost("GET", f"/v1/recoveries/{begun['uuid']}", None).status_code == 404
    lost("POST", f"/v1/drains/{begun['uuid']}/cancel", None, json={"undo": False})
    look(lost)
    assert lost("GET", "/v1/recoveries", None).json() == {"recoveries": []}, "a person took the loss in hand"


def test_many_servers_begin_one_recovery_of_a_loss_and_each_evacuation_once(lost: Web, tmp_path: Path) -> None:
    servers = [Web(lost.db, tmp_path / str(number), **POLICY) for number in range(3)]
    for _ in range(2):
        at_once([partial(look, server) for server in servers])
    assert len(every(lost, drains)) == 1
    assert [row.kind for row in every(lost, operations)] == ["evacuation"]


def test_a_recovery_that_was_cancelled_does_not_begin_again(lost: Web) -> None:
    look(lost)
    (row,) = every(lost, drains)
    with lost.db.write() as connection:
        connection.execute(update(operations).values(active=False, locks_instance=False))
    lost("POST", f"/v1/drains/{row.uuid}/cancel", None, json={"undo": False})
    look(lost)
    assert [row.state for row in every(lost, drains)] == ["cancelled"]


def test_a_host_of_which_only_stuck_instances_are_left_does_not_count_as_lost_with_others(lost: Web) -> None:
    recovery.check(lost.db, lost.services.settings)
    assert counted(lost) == ["compute3"], "it has no plan yet"
    lost.services.drains.sweep()
    assert counted(lost) == ["compute3"], "one is evacuated, and one is stuck"
    with lost.db.write() as connection:
        connection.execute(update(drain_moves).where(drain_moves.c.name == "kept").values(state="done"))
    assert counted(lost) == []


def test_a_host_that_has_instances_of_any_policy_counts_as_lost_with_others_for_ever(lost: Web) -> None:
    with lost.db.write() as connection:
        connection.execute(update(instances).values(metadata={HA_KEY: "off"}))
    assert counted(lost) == ["compute3"]
    with lost.db.write() as connection:
        connection.execute(update(instances).values(deleted=True))
    assert counted(lost) == []


def test_a_tenant_has_no_host_recovered_that_operators_left_out(web: Web, tmp_path: Path) -> None:
    third_host(web, last_seen=1.0, forced_down=True)
    with web.db.write() as connection:
        connection.execute(update(instances).values(metadata={HA_KEY: "evacuate"}))
    look(Web(web.db, tmp_path / "off"))
    assert every(web, drains) == []


def test_a_policy_that_is_none_is_refused(lost: Web) -> None:
    uuid = seed.instance(lost.db, "vm", host="compute1")
    expected = "migrator:ha = on is no policy: expected one of off, restart, evacuate"
    bad: dict[str, Any] = {HA_KEY: "on"}
    for method, path in (("POST", "metadata"), ("PUT", "metadata")):
        answer = lost(method, f"/v2.1/servers/{uuid}/{path}", json={"metadata": bad})
        assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, expected)
    made = lost("POST", "/v2.1/os-aggregates", json={"aggregate": {"name": "ha"}}).json()["aggregate"]
    path = f"/v2.1/os-aggregates/{made['id']}/action"
    answer = lost("POST", path, json={"set_metadata": {"metadata": bad}})
    assert (answer.status_code, answer.json()["badRequest"]["message"]) == (400, expected)
    assert lost("POST", path, json={"set_metadata": {"metadata": {HA_KEY: "off"}}}).status_code == 200
    lost("POST", path, json={"add_host": {"host": "compute3"}})
    look(lost)
    assert every(lost, drains) == [], "the aggregate's word stands before the fleet's"


def test_without_evidence_an_alarm_says_what_is_missing_until_there_is(lost: Web) -> None:
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(forced_down=False, fencing=None))
    look(lost)
    with lost.db.read() as connection:
        (alarm,) = alarms.listed(connection, kinds=[AlarmKind.RECOVERY_HELD])
    assert (alarm.host, "What would count: forced_down set" in alarm.message) == ("compute3", True)
    assert every(lost, drains) == []
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(last_seen=4_000_000_000.0))
    look(lost)
    with lost.db.read() as connection:
        assert alarms.listed(connection, kinds=[AlarmKind.RECOVERY_HELD]) == []
