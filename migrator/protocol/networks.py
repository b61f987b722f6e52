"""Whether a host has what the interfaces of an instance need: the same for its agent and for the scheduler. Pure."""

from collections.abc import Collection, Mapping, Sequence

from migrator.protocol.instances import NicSpec
from migrator.protocol.vocabulary import NetworkKind

# What a host says of a bridge -> the kinds of networks that are on it. A bridge whose frames the hypervisor tags takes
# frames without a tag as well.
_SERVES: Mapping[str, Collection[NetworkKind]] = {
    NetworkKind.BRIDGE: (NetworkKind.BRIDGE,),
    NetworkKind.VLAN: (NetworkKind.BRIDGE, NetworkKind.VLAN),
    NetworkKind.OPENVSWITCH: (NetworkKind.OPENVSWITCH,),
}
_NEEDS: Mapping[str, str] = {
    NetworkKind.BRIDGE: "is no bridge of the kernel",
    NetworkKind.VLAN: "does not tag frames: libvirt 11.0 or newer does",
    NetworkKind.OPENVSWITCH: "is not Open vSwitch's",
}


def missing(nics: Sequence[NicSpec], networks: Collection[str], bridges: Mapping[str, str]) -> list[str]:
    """The networks of ``nics`` that a host cannot give, each with the reason. ``networks``: that the host's own setting
    maps; ``bridges``: that it has, and what they are."""
    found = {nic.network: _fault(nic, bridges) for nic in nics if nic.network not in networks}
    return [f"{name}{fault}" for name, fault in sorted(found.items()) if fault is not None]


def _fault(nic: NicSpec, bridges: Mapping[str, str]) -> str | None:
    if not nic.bridge:
        return ""
    if nic.bridge not in bridges:
        return f" (it has no {nic.bridge})"
    if nic.kind in _SERVES.get(bridges[nic.bridge], ()):
        return None
    return f" ({nic.bridge} {_NEEDS.get(nic.kind, 'is of an unknown kind')})"
