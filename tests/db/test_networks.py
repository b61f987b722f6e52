"""Whose an address is: one port's, though many ask at the same time; and what an upgrade makes of older interfaces."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from migrator.db import networks, upgrade
from migrator.db import tables as t
from migrator.db.engine import Database
from migrator.errors import AlreadyExists, Conflict, MigratorError
from migrator.scheduler.requests import build
from migrator.scheduler.requests.interfaces import WantedNic
from tests.bench import databases
from tests.db.test_races import CALLER
from tests.db.test_revisions import downgraded

LAB: dict[str, object] = {
    "name": "lab",
    "kind": "bridge",
    "bridge": "br0",
    "vlan": None,
    "cidr": "10.9.0.0/24",
    "gateway": None,
}
LAB |= {"dns": [], "ranges": [["10.9.0.100", "10.9.0.104"]]}
ASKED = 8


def at_once(act: Callable[[int], str]) -> list[str]:
    """What each of them got, or the code of its refusal."""
    start = threading.Barrier(ASKED)

    def run(number: int) -> str:
        start.wait(20)
        try:
            return act(number)
        except MigratorError as error:
            return error.code

    with ThreadPoolExecutor(ASKED) as pool:
        return sorted(pool.map(run, range(ASKED)))


def lab(db: Database, **more: object) -> str:
    with db.write() as connection:
        return networks.create(connection, LAB | more).uuid


def boot(db: Database, *nics: WantedNic) -> str:
    return build.create_instance(db, CALLER, build.NewInstance("a", {**databases.FLAVOR}, None, networks=nics))[0]


def given(db: Database) -> list[str | None]:
    with db.read() as connection:
        return sorted(connection.execute(select(t.ports.c.ip)).scalars())


def test_many_who_boot_at_once_get_an_address_each_and_the_rest_are_refused(db: Database) -> None:
    lab(db)
    got = at_once(lambda _: boot(db, WantedNic("lab")) and "booted")
    assert got == ["addresses_used_up"] * 3 + ["booted"] * 5
    assert given(db) == [f"10.9.0.{number}" for number in range(100, 105)]
    with db.read() as connection:
        assert len(connection.execute(select(t.instances.c.id)).all()) == 5, "who is refused leaves nothing"


def test_of_many_who_ask_for_one_address_one_gets_it(db: Database) -> None:
    lab(db)
    got = at_once(lambda _: boot(db, WantedNic("lab", "10.9.0.7")) and "booted")
    assert got == ["bad_request"] * 7 + ["booted"]


def test_those_who_ask_for_two_networks_in_either_order_do_not_wait_for_each_other(db: Database) -> None:
    lab(db, ranges=[["10.9.0.1", "10.9.0.99"]])
    lab(db, name="other", ranges=[["10.9.0.101", "10.9.0.199"]])
    names = ("lab", "other")
    got = at_once(lambda number: boot(db, *(WantedNic(n) for n in names[:: 1 - 2 * (number % 2)])) and "booted")
    assert got == ["booted"] * ASKED


def test_those_who_ask_for_two_addresses_in_either_order_do_not_wait_for_each_other(db: Database) -> None:
    lab(db, ranges=[])
    lab(db, name="other", ranges=[])
    ips = ("10.9.0.7", "10.9.0.8")

    def ask(number: int) -> str:
        name, wanted = ("lab", ips) if number % 2 else ("other", ips[::-1])
        return boot(db, *(WantedNic(name, ip) for ip in wanted)) and "booted"

    assert at_once(ask) == ["bad_request"] * 7 + ["booted"]
    assert given(db) == list(ips)


def test_of_many_who_name_networks_with_a_range_in_common_one_does(db: Database) -> None:
    got = at_once(lambda number: lab(db, name=f"lab{number}") and "named")
    assert got == ["conflict"] * 7 + ["named"]


def test_a_network_is_not_deleted_under_a_boot(db: Database) -> None:
    ident = lab(db)

    def act(number: int) -> str:
        if number:
            return boot(db, WantedNic(ident)) and "booted"
        with db.write() as connection:
            networks.remove(connection, ident)
        return "deleted"

    got = at_once(act)
    assert ("deleted" in got) != ("booted" in got)


def test_a_mac_is_one_ports(db: Database) -> None:
    values = {"instance_uuid": "one", "network_uuid": None, "mac": "fa:16:3e:00:00:01", "ip": None, "tag": None}
    with db.write() as connection:
        networks.add_port(connection, values)
        with pytest.raises(AlreadyExists, match="00:01 is already in use on another instance"):
            networks.add_port(connection, values | {"instance_uuid": "two"})
        networks.release(connection, "one")
        networks.add_port(connection, values | {"instance_uuid": "two"})


def test_interfaces_of_an_earlier_release_keep_their_macs_from_others(db: Database) -> None:
    uuids = databases.add_instances(db, 3)
    macs = ["fa:16:3e:00:00:01", "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"]
    with db.write() as connection:
        for uuid, mac in zip(uuids, macs, strict=True):
            nics = [{"network": "private", "mac": mac, "ip": None}]
            connection.execute(t.instances.update().where(t.instances.c.uuid == uuid).values(networks=nics))
    downgraded(db, "0023")
    with db.write() as connection:
        connection.execute(text("UPDATE instances SET networks = '[7]' WHERE deleted"))
    upgrade.upgrade(db.url)
    with db.read() as connection:
        found = connection.execute(select(t.ports.c.mac, t.ports.c.network_uuid)).all()
    assert sorted(found) == [(mac, None) for mac in sorted(set(macs))]


def test_the_lowest_free_address_is_given_of_a_range_that_has_no_end_in_sight(db: Database) -> None:
    lab(db, cidr="fd00::/64", ranges=[["fd00::5", "fd00::ffff:ffff:ffff"]])
    for _ in range(2):
        boot(db, WantedNic("lab"))
    assert given(db) == ["fd00::5", "fd00::6"]
    with pytest.raises(Conflict), db.write() as connection:
        networks.remove(connection, "lab")
