"""python-novaclient, python-openstackclient and openstacksdk make key pairs, and boot with one."""

import re

import openstack
import pytest

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_the_clients_make_list_use_and_delete_key_pairs(cloud: Cloud) -> None:
    made = cloud.openstack("keypair", "create", "of-openstack")
    assert made.code == 0, made.err
    assert "BEGIN OPENSSH PRIVATE KEY" in made.out
    generated = cloud.nova("--os-compute-api-version", "2.91", "keypair-add", "of-nova")
    assert "BEGIN RSA PRIVATE KEY" in generated.out, generated.err
    listed = cloud.openstack("keypair", "list", "-f", "json").json
    assert sorted(pair["Name"] for pair in listed) == ["of-nova", "of-openstack"]
    assert re.search(r"of-nova +\| ssh ", cloud.nova("keypair-list").out)
    sdk = openstack.connect(
        auth_type="none", endpoint=cloud.url, compute_endpoint_override=cloud.url, compute_default_microversion="2.96"
    )
    assert [pair.name for pair in sdk.compute.keypairs()] == ["of-nova", "of-openstack"]
    cloud.boot("vm-key", key_name="of-nova")
    assert cloud.server("vm-key")["key_name"] == "of-nova"
    for name in ("of-nova", "of-openstack"):
        assert cloud.openstack("keypair", "delete", name).code == 0
    assert cloud.get("/os-keypairs")["keypairs"] == []
    cloud.delete("vm-key")
