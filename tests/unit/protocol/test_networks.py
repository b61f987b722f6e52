"""What a host lacks for the interfaces of an instance, in words."""

import pytest

from migrator.protocol import NicSpec, networks


def nic(kind: str = "bridge", bridge: str = "br0") -> NicSpec:
    return NicSpec(network="lab", mac="52:54:00:00:00:01", kind=kind, bridge=bridge)


@pytest.mark.parametrize(
    # the network's kind, what the host says of br0, what is missing
    ("kind", "has", "lacks"),
    [
        ("bridge", {"br0": "bridge"}, []),
        ("bridge", {"br0": "vlan"}, []),
        ("vlan", {"br0": "vlan"}, []),
        ("openvswitch", {"br0": "openvswitch"}, []),
        ("bridge", {"br1": "bridge"}, ["lab (it has no br0)"]),
        ("bridge", {"br0": "openvswitch"}, ["lab (br0 is no bridge of the kernel)"]),
        ("vlan", {"br0": "bridge"}, ["lab (br0 does not tag frames: libvirt 11.0 or newer does)"]),
        ("openvswitch", {"br0": "vlan"}, ["lab (br0 is not Open vSwitch's)"]),
        ("later", {"br0": "vlan"}, ["lab (br0 is of an unknown kind)"]),
        ("bridge", {"br0": "later"}, ["lab (br0 is no bridge of the kernel)"]),
    ],
)
def test_a_bridge_serves_the_kinds_of_networks_that_are_on_it(kind: str, has: dict[str, str], lacks: list[str]) -> None:
    assert networks.missing([nic(kind)], [], has) == lacks


def test_a_hosts_own_setting_goes_before_the_networks_bridge() -> None:
    assert networks.missing([nic(), nic(bridge="")], ["lab"], {}) == []
    assert networks.missing([nic(bridge="")], [], {"br0": "bridge"}) == ["lab"]
