"""The config drive, read back by its label and by each of its names."""

import json
import stat
from io import BytesIO
from pathlib import Path

import jsonschema
import pycdlib
import pytest

from migrator.compute.storage import config_drive
from migrator.compute.storage.guest_metadata import meta_data, network_data
from migrator.protocol import InstanceSpec, NicSpec

SPEC = InstanceSpec(
    uuid="3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5",
    name="Wéb Server_1",
    vcpus=1,
    memory_mb=64,
    metadata={"role": "web"},
)


def read(path: Path, **names: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(content_of(path, **names))
    return found


def content_of(path: Path, **names: str) -> bytes:
    iso, content = pycdlib.PyCdlib(), BytesIO()
    iso.open(str(path))
    try:
        iso.get_file_from_iso_fp(content, **names)
    finally:
        iso.close()
    return content.getvalue()


@pytest.mark.parametrize("kind", ["joliet_path", "rr_path"])
def test_a_guest_finds_out_who_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk.config"
    config_drive.make(path, SPEC, "s3cret")
    assert read(path, **{kind: "/openstack/latest/meta_data.json"}) == {
        "uuid": SPEC.uuid,
        "name": "Wéb Server_1",
        "hostname": "w-b-server-1",
        "launch_index": 0,
        "meta": {"role": "web"},
        "admin_pass": "s3cret",
    }


def test_it_is_labelled_aligned_and_private(tmp_path: Path) -> None:
    path = tmp_path / "disk.config"
    config_drive.make(path, SPEC, None)
    content = path.read_bytes()
    assert content[0x8000:0x8006] == b"\x01CD001"
    assert content[0x8028:0x8048].rstrip() == b"config-2"
    assert len(content) % 512 == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_password_there_is_none() -> None:
    assert "admin_pass" not in meta_data(SPEC, None)
    assert meta_data(SPEC.model_copy(update={"name": "___"}), None)["hostname"] == SPEC.uuid


LAB = NicSpec(
    network="lab",
    mac="fa:16:3e:00:00:01",
    ip="10.9.0.100",
    port="11111111-2222-3333-4444-555555555555",
    tag="front",
    network_id="22222222-2222-3333-4444-555555555555",
    kind="bridge",
    bridge="br0",
    cidr="10.9.0.0/24",
    gateway="10.9.0.1",
    dns=("10.9.0.53", "fd00::53"),
)
TOLD = SPEC.model_copy(
    update={
        "nics": (LAB, NicSpec(network="of-the-host", mac="fa:16:3e:00:00:02")),
        "hostname": "web-1",
        "key_name": "mine",
        "key_data": "ssh-ed25519 AAAA me",
        "user_data": "I2Nsb3VkLWNvbmZpZwo=",
    }
)
# What Nova documents of network_data.json, which cloud-init reads: the part that is written here
SCHEMA = {
    "type": "object",
    "required": ["links", "networks", "services"],
    "additionalProperties": False,
    "properties": {
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "ethernet_mac_address", "type"],
                "properties": {
                    "id": {"type": "string"},
                    "type": {"enum": ["bridge", "dvs", "hw_veb", "hyperv", "ovs", "tap", "vhostuser", "vif", "phy"]},
                    "ethernet_mac_address": {"type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$"},
                    "mtu": {"type": ["number", "null"]},
                    "vif_id": {"type": "string"},
                },
            },
        },
        "networks": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "link", "network_id", "type"],
                "properties": {
                    "id": {"type": "string"},
                    "link": {"type": "string"},
                    "network_id": {"type": "string"},
                    "type": {"enum": ["ipv4", "ipv6", "ipv4_dhcp", "ipv6_dhcp"]},
                    "ip_address": {"type": "string"},
                    "netmask": {"type": "string"},
                    "routes": {
                        "type": "array",
                        "items": {"type": "object", "required": ["gateway", "netmask", "network"]},
                    },
                    "services": {"type": "array", "items": {"type": "object", "required": ["address", "type"]}},
                },
            },
        },
        "services": {"type": "array", "items": {"type": "object", "required": ["address", "type"]}},
    },
}


@pytest.mark.parametrize("version", config_drive.VERSIONS)
def test_a_guest_finds_its_name_key_user_data_and_addresses(tmp_path: Path, version: str) -> None:
    path = tmp_path / "disk.config"
    config_drive.make(path, TOLD, None)
    place = f"/openstack/{version}"
    known = read(path, joliet_path=f"{place}/meta_data.json")
    assert (known["hostname"], known["public_keys"]) == ("web-1", {"mine": "ssh-ed25519 AAAA me"})
    assert known["keys"] == [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA me"}]
    device = {"type": "nic", "bus": "none", "address": "none", "mac": LAB.mac, "tags": ["front"]}
    assert known["devices"] == [device]
    assert content_of(path, joliet_path=f"{place}/user_data") == b"#cloud-config\n"
    assert read(path, joliet_path=f"{place}/vendor_data.json") == {}
    network = read(path, rr_path=f"{place}/network_data.json")
    jsonschema.validate(network, SCHEMA)
    assert [link["ethernet_mac_address"] for link in network["links"]] == [nic.mac for nic in TOLD.nics]  # type: ignore[attr-defined]
    dns = [{"type": "dns", "address": address} for address in LAB.dns]
    assert network["networks"] == [
        {
            "id": "network0",
            "link": "interface0",
            "network_id": LAB.network_id,
            "type": "ipv4",
            "ip_address": "10.9.0.100",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.9.0.1"}],
            "services": dns,
        },
        {"id": "network1", "link": "interface1", "network_id": "of-the-host", "type": "ipv4_dhcp"},
    ]
    assert network["services"] == dns


def test_a_guest_without_user_data_finds_none_and_one_with_ipv6_has_its_route() -> None:
    assert "user_data" not in config_drive.files(SPEC, None)
    six = LAB.model_copy(update={"ip": "fd00::5", "cidr": "fd00::/64", "gateway": "fd00::1"})
    (found,) = network_data(SPEC.model_copy(update={"nics": (six,)}))["networks"]
    assert (found["type"], found["netmask"]) == ("ipv6", "ffff:ffff:ffff:ffff::")
    assert found["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]
