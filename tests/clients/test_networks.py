"""Servers in a network, as nova and openstack ask for them where there is no network service."""

import json

import pytest

from tests.cli.verbs import cells, ok
from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_nova_and_openstack_boot_into_a_network_and_show_the_same_address_after_a_move(cloud: Cloud) -> None:
    about = ("--bridge", "br0", "--cidr", "10.9.0.0/24", "--range", "10.9.0.100-10.9.0.199")
    ident = cells(ok(cloud.migrator("network-create", "lab", *about)))["ID"]
    ok(cloud.nova("boot", "--flavor", "m1.nano", "--image", "tiny", "--nic", f"net-id={ident}", "--poll", "in-1"))
    nova = ("boot", "--flavor", "m1.nano", "--image", "tiny", "--poll", "--nic")
    ok(cloud.nova(*nova, f"net-id={ident},v4-fixed-ip=10.9.0.7", "in-2"))
    ok(cloud.openstack("server", "create", "--flavor", "m1.nano", "--image", "tiny", "--wait", "in-3"))
    ok(cloud.nova("boot", "--flavor", "m1.nano", "--image", "tiny", "--poll", "in-4"))
    names = ("in-1", "in-2", "in-3", "in-4")
    before = {name: cloud.server(name)["addresses"]["lab"] for name in names}
    assert [before[name][0]["addr"] for name in names] == ["10.9.0.100", "10.9.0.7", "10.9.0.101", "10.9.0.102"]
    assert "lab=10.9.0.100" in ok(cloud.nova("list"))
    shown = json.loads(ok(cloud.openstack("server", "show", "in-2", "-f", "json")))
    assert shown["addresses"] == {"lab": ["10.9.0.7"]}
    assert before["in-1"][0]["OS-EXT-IPS-MAC:mac_addr"] in ok(cloud.nova("interface-list", "in-1"))
    ok(cloud.migrator("live-migration", "in-1", "--poll"))
    ok(cloud.migrator("migrate", "in-2", "--poll"))
    assert {name: cloud.server(name)["addresses"]["lab"] for name in names} == before
    ok(cloud.migrator("resize-confirm", "in-2"))
    ok(cloud.migrator("delete", *names, "--poll"))
    ok(cloud.migrator("network-delete", "lab"))
