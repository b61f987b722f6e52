"""``GET /v1/what-if``: what it says of hosts that might be lost, and that it is what an evacuation would do."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.cli import capacity as verbs
from migrator.db import instances, neighbours
from migrator.db.tables import claims, drains, hosts, operations, server_groups
from migrator.protocol import InstanceSpec
from migrator.scheduler.fleet import evacuations, planning
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import placed, third_host

APART, TOGETHER = "11111111-2222-4333-8444-555555555555", "21111111-2222-4333-8444-555555555555"


@pytest.fixture
def fleet(web: Web) -> Web:
    """All three hosts are up."""
    third_host(web)
    return web


def ask(web: Web, *lose: str, **more: Any) -> Any:
    return web("GET", "/v1/what-if", None, params={"lose": lose, **more})


def told(web: Web, *lose: str, **more: Any) -> Any:
    answer = ask(web, *lose, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["what_if"]


def groups(web: Web) -> None:
    """One whose members are kept apart, and one whose members are kept together."""
    with web.db.write() as connection:
        for uuid, policy in ((APART, "anti-affinity"), (TOGETHER, "affinity")):
            row = {"uuid": uuid, "name": policy, "policy": policy, "rules": {}, "project_id": "admin"}
            connection.execute(server_groups.insert().values(row | {"user_id": "admin", "created_at": seed.BEGAN}))


def test_members_of_a_group_are_kept_apart_among_themselves_and_from_others(fleet: Web) -> None:
    groups(fleet)
    placed(fleet, "away", "shared", "compute1", server_group=APART)
    placed(fleet, "member", "shared", server_group=APART)
    member = by_name(told(fleet, "compute3"))["member"]
    assert "server group anti-affinity has its members there" in member["why"]
    assert member["destination"] is None


def test_members_that_are_lost_as_well_take_no_place_of_their_group(fleet: Web) -> None:
    groups(fleet)
    placed(fleet, "away", "shared", "compute1", server_group=APART)
    for name in ("one", "other"):
        placed(fleet, name, "shared", server_group=APART)
    with fleet.db.read() as connection:
        rows, request = instances.on_hosts(connection, ["compute3"]), DrainRequest([Way.EVACUATE])
        read = evacuations.read(connection, rows, request, fleet.services.settings)
    guests = {guest.name: guest.group for guest in read.without(["compute3"]).guests if guest.group is not None}
    assert {name: group.others for name, group in guests.items()} == {
        name: {"compute1": 1} for name in ("one", "other")
    }


def by_name(found: Any) -> dict[str, Any]:
    return {move["name"]: move for move in found["moves"]}


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


def test_it_says_where_each_instance_would_be_restarted_and_which_data_would_be_lost(fleet: Web) -> None:
    found = told(fleet, "compute3")
    assert (found["lose"], found["restarted"], found["stay_down"]) == (["compute3"], 1, 1)
    moves = by_name(found)
    assert (moves["kept"]["destination"], moves["kept"]["lost_disks"]) == ("compute1", [])
    local = moves["local"]
    assert (local["destination"], local["why"]) == (
        None,
        "evacuate: it would not have the data of its disks vda (pool local) any more: only the lost host has them",
    )
    assert local["remedy"] == "bring compute3 back, or allow it: discard_local_disks (--discard-local-disks)"
    disk = {"target": "vda", "pool": "local", "made_from": "image", "image_id": seed.IMAGE}
    assert local["lost_disks"] == [disk]
    anew = told(fleet, "compute3", discard_local_disks=True)
    assert (anew["restarted"], by_name(anew)["local"]["lost_disks"]) == (2, [disk])


def test_what_is_shared_among_lost_hosts_only_is_lost_with_them(fleet: Web) -> None:
    found = told(fleet, "compute1", "compute3")
    assert found["stay_down"] == 2
    assert {move["lost_disks"][0]["pool"] for move in found["moves"]} == {"shared", "local"}
    anew = told(fleet, "compute1", "compute3", discard_local_disks=True)
    assert [move["why"] for move in anew["moves"] if move["name"] == "kept"] == [
        "evacuate: storage: it has no pool named shared (1 host)"
    ]


def test_nothing_is_changed(fleet: Web) -> None:
    def everything() -> list[Any]:
        with fleet.db.read() as connection:
            return [connection.execute(select(table)).all() for table in (hosts, operations, claims, drains)]

    before = everything()
    told(fleet, "compute3", discard_local_disks=True)
    assert everything() == before


def test_a_host_without_instances_takes_its_room_away_and_nothing_else(fleet: Web) -> None:
    found = told(fleet, "compute2")
    assert (found["moves"], found["restarted"], found["stay_down"]) == ([], 0, 0)


def test_what_has_no_room_says_what_would_make_some(fleet: Web) -> None:
    placed(fleet, "huge", "shared", flavor={**seed.FLAVOR, "memory_mb": 20_000})
    huge = by_name(told(fleet, "compute3"))["huge"]
    assert "20000 MiB of memory needed (1 host)" in huge["why"]
    assert huge["remedy"] == "make room on compute1: 20000 MiB of memory needed"


@pytest.mark.parametrize(
    ("lose", "status", "message"),
    [
        ((), 400, "lose"),
        (("",), 400, "lose"),
        (("a/b",), 400, "lose"),
        (("compute1", "compute1"), 400, "lose names compute1 twice: name each host once"),
        (("compute1", "nowhere", "gone"), 404, "Host nowhere, gone is not registered"),
        (("compute1", "compute2", "compute3"), 400, "lose takes 3 of 3 hosts away: none would be left"),
    ],
)
def test_bad_requests_are_told_what_was_wrong(fleet: Web, lose: tuple[str, ...], status: int, message: str) -> None:
    assert message in refusal(ask(fleet, *lose), status)


def test_an_option_that_is_none_is_refused(fleet: Web) -> None:
    assert "discard_local_disks" in refusal(ask(fleet, "compute3", discard_local_disks="perhaps"), 400)


def test_it_foretells_what_an_evacuation_of_the_lost_host_does(fleet: Web) -> None:
    for number in range(5):
        placed(fleet, f"more{number}", "shared", flavor={**seed.FLAVOR, "memory_mb": 4000})
    foretold = {move["name"]: move["destination"] for move in told(fleet, "compute3")["moves"]}
    with fleet.db.write() as connection:
        evidence = {"kind": "forced_down", "by": "admin", "at": seed.BEGAN, "words": "forced down by admin"}
        down = {"last_seen": 1.0, "forced_down": True, "fencing": evidence}
        connection.execute(update(hosts).where(hosts.c.name == "compute3").values(down))
    answer = fleet("POST", "/v1/hosts/compute3/evacuate", None, json={"dry_run": True})
    assert {move["name"]: move["destination"] for move in answer.json()["plan"]["moves"]} == foretold
    assert len(set(foretold.values())) == 2  # some have room, and some have not


def test_the_command_line_prints_a_line_for_each_server(fleet: Web) -> None:
    text = verbs.what_if_text(told(fleet, "compute3"))
    assert "1 restarted, 1 stay down, if compute3 is lost" in text
    assert "restarted on compute1" in text
    assert "vda (pool local)" in text


def every_way_to_differ(web: Web) -> None:
    """Instances of compute3 that checks of an evacuation tell apart."""
    seed.host(web.db, "compute4", disabled=True)
    seed.pools(web.db, "compute4", shared="both")
    groups(web)
    placed(web, "elsewhere", "shared", "compute1", server_group=APART)
    placed(web, "there", "shared", "compute1", server_group=TOGETHER)
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "zoned": {"availability_zone": "elsewhere"},
        "asking": {"flavor": {**seed.FLAVOR, "extra_specs": {"aggregate_instance_extra_specs:ssd": "true"}}},
        "large": {"flavor": {**seed.FLAVOR, "memory_mb": 20_000, "disk_gb": 5000}},
        "stopped": {"vm_state": "stopped"},
        "apart": {"server_group": APART},
        "together": {"server_group": TOGETHER},
    }
    for name, more in cases.items():
        placed(web, name, "shared", **more)
    wired, held, wants = (placed(web, name, "shared") for name in ("wired", "held", "wants"))
    nic = {"network": "lab", "mac": "52:54:00:00:00:01", "bridge": "br9", "kind": "bridge"}
    with web.db.write() as connection:
        spec = instances.get(connection, wired).spec
        instances.change(connection, wired, {"spec": {**spec, "nics": [nic]}})
        left = {"host": "compute1", "instance_uuid": held, "vcpus": 0, "memory_mb": 0, "disk_gb": 0}
        connection.execute(claims.insert().values(created_at=seed.BEGAN, **left))
        neighbours.add(connection, wants, neighbours.DIFFERENT_HOST, [held])


def test_instances_that_share_an_answer_would_each_get_the_same_alone(fleet: Web) -> None:
    """The checks are asked once for all instances that none of them tells apart."""
    every_way_to_differ(fleet)
    with fleet.db.read() as connection:
        rows = instances.on_hosts(connection, ["compute3"])
        request = DrainRequest([Way.EVACUATE], discard=True)
        read = evacuations.read(connection, rows, request, fleet.services.settings)
    shared = {guest.name: guest.options[0].refusals for guest in read.without(["compute3"]).guests}
    lost = read.facts.lost_host(read.hosts["compute3"], {"compute3"})
    others = [candidate for candidate in read.candidates if candidate.host.name != "compute3"]
    for row in rows:
        need = read.facts.request_of(row, InstanceSpec.model_validate(row.spec), lost)
        _, alone = planning.judged(need, others)
        assert {host: why for host, why in shared[row.name].items() if host != "compute3"} == alone, row.name
    assert len({frozenset(refusals.items()) for refusals in shared.values()}) == 8
