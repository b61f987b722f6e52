"""Both clients list services, hypervisors and flavors, disable a host and force it down, on simulated hosts."""

import json

import pytest

from tests.clients.conftest import HOSTS, Cloud

pytestmark = pytest.mark.clients


def test_nova_lists_hosts(cloud: Cloud) -> None:
    for verb in ("service-list", "hypervisor-list"):
        listed = cloud.nova(verb)
        assert listed.code == 0, listed.err
        for host in HOSTS:
            assert host in listed.out
    assert "m1.nano" in cloud.nova("flavor-list").out
    assert "2.96" in cloud.nova("version-list").out


def test_openstack_lists_hosts_and_takes_one_out(cloud: Cloud) -> None:
    listed = cloud.openstack("compute", "service", "list", "-f", "json")
    assert listed.code == 0, listed.err
    assert {row["Host"] for row in json.loads(listed.out)} == set(HOSTS)
    hypervisors = cloud.openstack("hypervisor", "list", "-f", "json")
    assert {row["Hypervisor Hostname"] for row in json.loads(hypervisors.out)} == set(HOSTS)
    for option, field, expected in (
        ("--disable", "status", "disabled"),
        ("--enable", "status", "enabled"),
        ("--down", "state", "down"),
        ("--up", "state", "up"),
    ):
        done = cloud.openstack("compute", "service", "set", option, HOSTS[0], "nova-compute")
        assert done.code == 0, done.err
        (service,) = cloud.get(f"/os-services?host={HOSTS[0]}")["services"]
        assert service[field] == expected
