"""``GET /v1/capacity``: whether the fleet survives the loss of any hosts; and what metrics say of it."""

from typing import Any

import pytest
from sqlalchemy import update

from migrator.cli import capacity as verbs
from migrator.db.tables import capacity_check as checked
from migrator.db.tables import hosts, instances
from migrator.errors import BadRequest
from migrator.scheduler.fleet import capacity_check, losses
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import placed, third_host
from tests.api.test_metrics import scraped

HUGE = {**seed.FLAVOR, "memory_mb": 20_000}


@pytest.fixture
def fleet(web: Web) -> Web:
    """All three hosts are up. Two of them share storage."""
    third_host(web)
    return web


def ask(web: Web, **query: Any) -> Any:
    return web("GET", "/v1/capacity", None, params=query)


def told(web: Web, **query: Any) -> Any:
    answer = ask(web, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["capacity"]


def down(found: Any) -> dict[tuple[str, ...], list[str]]:
    return {tuple(loss["hosts"]): [server["name"] for server in loss["servers"]] for loss in found["losses"]}


def look(web: Web) -> bool:
    return capacity_check.check(web.db, web.services.settings)


def test_it_says_which_instances_stay_down_for_which_host_and_why(fleet: Web) -> None:
    found = told(fleet)
    assert (found["hosts"], found["instances"], found["combinations"]) == (3, 2, 3)
    assert (found["survives"], down(found)) == (False, {("compute3",): ["local"]})
    (server,) = found["losses"][0]["servers"]
    assert "only the lost host has them" in server["why"]
    assert server["remedy"].startswith("bring compute3 back")
    assert [disk["target"] for disk in server["lost_disks"]] == ["vda"]


def test_a_fleet_survives_where_every_instance_has_a_place(fleet: Web) -> None:
    found = told(fleet, discard_local_disks=True)
    assert (found["survives"], found["losses"], found["hosts_with_local_disks"]) == (True, [], 1)


def test_every_combination_of_two_hosts_is_planned_and_the_worst_comes_first(fleet: Web) -> None:
    placed(fleet, "other", "shared", "compute1")
    found = told(fleet, lose=2, discard_local_disks=True)
    assert found["combinations"] == 3
    assert list(down(found)) == [("compute1", "compute3")]
    shown = told(fleet, lose=2, limit=1)
    assert (shown["losses_with_instances_down"], list(down(shown))) == (2, [("compute1", "compute3")])


def test_each_loss_is_what_what_if_says_of_the_same_hosts(fleet: Web) -> None:
    placed(fleet, "huge", "shared", flavor=HUGE)
    placed(fleet, "other", "local", "compute2")
    for lose in (1, 2):
        for loss in told(fleet, lose=lose)["losses"]:
            one = fleet("GET", "/v1/what-if", None, params={"lose": loss["hosts"]}).json()["what_if"]
            stuck = {(move["name"], move["why"], move["remedy"]) for move in one["moves"] if move["state"] == "stuck"}
            assert {(s["name"], s["why"], s["remedy"]) for s in loss["servers"]} == stuck
            assert (loss["instances"], loss["stay_down"]) == (len(one["moves"]), one["stay_down"])


def test_no_more_servers_are_named_than_a_loss_has_room_for(fleet: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.api.v1.capacity._NAMED", 1)
    placed(fleet, "second", "local")
    (loss,) = told(fleet)["losses"]
    assert (loss["stay_down"], len(loss["servers"])) == (2, 1)
    assert "compute3: 2, of which 1 are shown" in verbs.capacity_text(told(fleet))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"lose": 3}, "lose takes 3 of 3 hosts away: none would be left to restart anything on"),
        ({"lose": 0}, "lose"),
        ({"lose": "many"}, "lose"),
        ({"limit": 0}, "limit"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_requests_are_told_what_was_wrong(fleet: Web, query: dict[str, Any], message: str) -> None:
    answer = ask(fleet, **query)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["error"]["message"]


def test_a_fleet_without_hosts_has_none_to_lose(web: Web) -> None:
    with web.db.write() as connection:
        connection.execute(hosts.delete())
    answer = ask(web)
    assert (answer.status_code, "lose takes 1 of 0 hosts away" in answer.text) == (400, True)


def test_more_combinations_than_a_bound_are_refused_and_the_answer_says_how_many_hosts_will_do(
    fleet: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed.host(fleet.db, "compute4")
    monkeypatch.setattr(losses, "MOST", 5)
    answer = ask(fleet, lose=2)
    assert answer.status_code == 400
    assert "lose = 2: 2 of 4 hosts are 6 combinations, and at most 5 are planned" in answer.text
    assert "ask for lose = 1, or for hosts by name: `migrator what-if --lose HOSTS`" in answer.text
    monkeypatch.setattr(losses, "MOST", 3)
    assert "hosts by name: `migrator what-if" in ask(fleet, lose=1).text
    with pytest.raises(BadRequest, match="at most 3 are planned"):
        look(fleet)


def test_the_command_line_prints_a_line_for_each_server_that_stays_down(fleet: Web) -> None:
    text = verbs.capacity_text(told(fleet))
    assert "3 hosts, 2 servers: 1 of 3 losses of a host leave servers down" in text
    assert "| compute3 | local  |" in text
    whole = verbs.capacity_text(told(fleet, discard_local_disks=True))
    assert whole == "3 hosts, 2 servers: the loss of any host leaves no server down"


def test_metrics_tell_how_many_hosts_the_fleet_cannot_lose_and_how_old_that_is(fleet: Web) -> None:
    assert ("capacity_age_seconds",) not in scraped(fleet)
    assert look(fleet)
    found = scraped(fleet)
    assert (found["capacity_hosts_at_risk", "no_place"], found["capacity_hosts_at_risk", "local_disks"]) == (0, 1)
    assert 0 <= found["capacity_age_seconds",] < 60
    placed(fleet, "huge", "shared", flavor=HUGE)
    assert not look(fleet)  # this server or another one looked just now
    assert scraped(fleet)["capacity_hosts_at_risk", "no_place"] == 0
    with fleet.db.write() as connection:
        connection.execute(update(checked).values(begun_at=checked.c.begun_at - 301, took_s=0.0))
    assert look(fleet)
    assert scraped(fleet)["capacity_hosts_at_risk", "no_place"] == 1


def test_of_two_servers_one_looks(fleet: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.scheduler.fleet.capacity_check.capacity_check.due", lambda *_: True)
    assert [look(fleet), look(fleet)] == [True, False]


def test_a_look_that_took_long_is_followed_by_a_longer_rest(fleet: Web) -> None:
    assert look(fleet)
    with fleet.db.write() as connection:
        connection.execute(update(checked).values(begun_at=checked.c.begun_at - 400, took_s=20.0))
    assert not look(fleet)


def test_the_only_host_is_at_risk_as_soon_as_it_has_an_instance(web: Web) -> None:
    with web.db.write() as connection:
        connection.execute(hosts.delete().where(hosts.c.name == "compute2"))
    assert losses.any_one_host(web.db, web.services.settings).losses == []
    seed.instance(web.db, "a")
    (loss,) = losses.any_one_host(web.db, web.services.settings).losses
    assert [move.guest.name for move in loss.stay] == ["a"]
    with web.db.write() as connection:
        connection.execute(instances.delete())
    assert losses.any_one_host(web.db, web.services.settings).losses == []
