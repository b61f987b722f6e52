"""``POST /v1/hosts/{name}/evacuate``: what it asks for, plans and begins; the evacuations themselves are carried out in
tests/world."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db.tables import hosts, operations
from migrator.scheduler.fleet import evacuations
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import third_host

BIG = {**seed.FLAVOR, "memory_mb": 20_000}


@pytest.fixture
def lost(web: Web) -> Web:
    """compute3 was forced down, as ``lost_host`` has it."""
    third_host(web, last_seen=1.0, forced_down=True)
    return web


def evacuate(web: Web, host: str = "compute3", **body: Any) -> Any:
    return web("POST", f"/v1/hosts/{host}/evacuate", None, json=body)


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


def begun(web: Web) -> list[Any]:
    with web.db.read() as connection:
        return list(connection.execute(select(operations)).all())


def test_a_dry_run_spells_out_what_would_be_lost_and_begins_nothing(lost: Web) -> None:
    answer = evacuate(lost, dry_run=True)
    assert answer.status_code == 200, answer.text
    moves = {move["name"]: move for move in answer.json()["plan"]["moves"]}
    assert (moves["kept"]["way"], moves["kept"]["destination"]) == ("evacuate", "compute1")
    message = "evacuate: it would not have the data of its disks vda (pool local) any more: only the lost host has them"
    assert (moves["local"]["state"], moves["local"]["why"]) == ("stuck", message)
    allow = "bring compute3 back, or allow it: discard_local_disks (--discard-local-disks)"
    assert moves["local"]["remedy"] == allow
    wanted = evacuate(lost, dry_run=True, discard_local_disks=True).json()["plan"]
    (local,) = [move for move in wanted["moves"] if move["name"] == "local"]
    assert (local["state"], local["why"]) == ("planned", f"vda is made anew (from image {seed.IMAGE})")
    assert begun(lost) == []
    assert lost("GET", "/v1/drains", None).json() == {"drains": []}


def test_what_keeps_its_disks_is_evacuated_and_what_does_not_waits_for_a_word(lost: Web) -> None:
    answer = evacuate(lost, reason="power")
    assert answer.status_code == 202, answer.text
    found = answer.json()["drain"]
    assert (found["kind"], found["state"], found["disable"]) == ("evacuation", "running", False)
    assert {move["name"]: move["state"] for move in found["moves"]} == {"kept": "moving", "local": "stuck"}
    (row,) = begun(lost)
    assert (row.kind, row.source, row.requested_host) == ("evacuation", "compute3", "compute1")
    message = f"Host compute3 has drain {found['uuid']} (evacuation) under way"
    assert refusal(evacuate(lost), 409) == message


def test_all_at_once_with_the_word_that_local_disks_may_be_lost(lost: Web) -> None:
    found = evacuate(lost, discard_local_disks=True).json()["drain"]
    assert {move["state"] for move in found["moves"]} == {"moving"}
    assert {row.kind for row in begun(lost)} == {"evacuation"}


def test_what_is_kept_by_the_plan_and_not_when_it_begins_is_not_made_anew(
    lost: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host that shared the storage changes between plan and beginning."""
    monkeypatch.setattr(evacuations, "_closed", lambda *_, **__: ("", ""))
    found = evacuate(lost).json()["drain"]
    (local,) = [move for move in found["moves"] if move["name"] == "local"]
    assert local["state"] != "moving"
    assert len(begun(lost)) == 1
    assert "only the lost host has them" in str([event["message"] for event in found["events"]])


def test_an_evacuation_is_refused_as_that_of_one_instance(lost: Web) -> None:
    assert refusal(evacuate(lost, "compute1"), 400) == "Compute service of compute1 is still in use."
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(forced_down=False))
    message = refusal(evacuate(lost), 409)
    assert message.startswith(
        "Cannot evacuate host compute3: host compute3 is silent, but nothing says that its guests"
    )
    assert "What would count: forced_down set by an operator" in message
    assert refusal(evacuate(lost, dry_run=True), 409) == message
    assert refusal(evacuate(lost, "nowhere"), 404) == "Host nowhere is not registered"
    assert begun(lost) == []


def test_contradicting_options_are_refused(lost: Web) -> None:
    assert "the host that is to be emptied" in refusal(evacuate(lost, to=["compute3"]), 400)
    assert "no host of that name" in refusal(evacuate(lost, to=["compute9"]), 400)
    assert "at_most" in refusal(evacuate(lost, at_most=0), 400)
    with lost.db.write() as connection:
        connection.execute(update(hosts).values(disabled=True))
    assert refusal(evacuate(lost), 409) == "no other host takes instances in: nothing could leave compute3"


def test_destinations_and_a_deadline_are_kept(lost: Web) -> None:
    found = evacuate(lost, to=["compute1", "compute2"], deadline_s=60).json()["drain"]
    assert (found["to"], found["deadline_at"] is None) == (["compute1", "compute2"], False)
    assert {move["destination"] for move in found["moves"] if move["state"] == "moving"} == {"compute1"}


def test_the_host_that_is_back_ends_the_evacuation_and_nothing_more_begins(lost: Web) -> None:
    seed.instance(lost.db, "huge", host="compute3", flavor=BIG)
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute1").values(disabled=True))
    found = evacuate(lost).json()["drain"]
    assert found["state"] == "blocked"
    with lost.db.write() as connection:
        up = {"forced_down": False, "last_seen": 4_000_000_000.0}
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(up))
    lost.services.drains.sweep()
    shown = lost("GET", f"/v1/drains/{found['uuid']}", None).json()["drain"]
    assert (shown["state"], shown["note"]) == ("incomplete", "host compute3 is back; 3 were not evacuated")
    assert begun(lost) == []


def test_a_word_that_counts_no_more_blocks_what_has_not_begun(lost: Web) -> None:
    found = evacuate(lost, at_most=1, discard_local_disks=True).json()["drain"]
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(forced_down=False))
        connection.execute(update(operations).values(active=False, locks_instance=False))
    lost.services.drains.sweep()
    shown = lost("GET", f"/v1/drains/{found['uuid']}", None).json()["drain"]
    assert (shown["state"], len(begun(lost))) == ("blocked", 1)
    assert "nothing says that its guests do not run any more" in shown["note"]


def test_a_drain_of_a_host_that_is_down_says_evacuate(lost: Web) -> None:
    answer = lost("POST", "/v1/drains", None, json={"host": "compute3"})
    assert answer.status_code == 409
    assert "`migrator host-evacuate compute3`" in answer.text
