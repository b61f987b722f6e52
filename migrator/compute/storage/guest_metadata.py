"""What a guest is told of itself, under the names that cloud-init knows from OpenStack. Pure."""

import ipaddress
import re
from typing import Any

from migrator.protocol import InstanceSpec, NetworkKind, NicSpec

_LINKS = {NetworkKind.BRIDGE: "bridge", NetworkKind.VLAN: "bridge", NetworkKind.OPENVSWITCH: "ovs"}


def meta_data(spec: InstanceSpec, admin_pass: str | None) -> dict[str, Any]:
    known: dict[str, Any] = {
        "uuid": spec.uuid,
        "name": spec.name,
        "hostname": spec.hostname or re.sub(r"[^a-z0-9-]+", "-", spec.name.lower()).strip("-") or spec.uuid,
        "launch_index": 0,
        "meta": spec.metadata,
    }
    if spec.key_name is not None and spec.key_data is not None:
        known["public_keys"] = {spec.key_name: spec.key_data}
        kind = "x509" if "CERTIFICATE" in spec.key_data[:40] else "ssh"
        known["keys"] = [{"name": spec.key_name, "type": kind, "data": spec.key_data}]
    tagged = [nic for nic in spec.nics if nic.tag is not None]
    if tagged:
        unknown = {"bus": "none", "address": "none"}  # the hypervisor chooses the slot
        known["devices"] = [{"type": "nic", **unknown, "mac": nic.mac, "tags": [nic.tag]} for nic in tagged]
    return known if admin_pass is None else known | {"admin_pass": admin_pass}


def network_data(spec: InstanceSpec) -> dict[str, Any]:
    """Links, their addresses, and DNS servers. A card without an address asks for one (DHCP)."""
    servers = dict.fromkeys(server for nic in spec.nics for server in nic.dns)
    return {
        "links": [_link(number, nic) for number, nic in enumerate(spec.nics)],
        "networks": [_network(number, nic) for number, nic in enumerate(spec.nics)],
        "services": [_dns(server) for server in servers],
    }


def _link(number: int, nic: NicSpec) -> dict[str, Any]:
    kind = next((link for network, link in _LINKS.items() if network == nic.kind), "bridge")
    ident = {"id": f"interface{number}", "vif_id": nic.port or f"interface{number}"}
    return {**ident, "type": kind, "mtu": None, "ethernet_mac_address": nic.mac}


def _network(number: int, nic: NicSpec) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": f"network{number}", "link": f"interface{number}"}
    shown["network_id"] = nic.network_id or nic.network
    if nic.ip is None or nic.cidr is None:
        return shown | {"type": "ipv4_dhcp"}
    version, cidr = ipaddress.ip_address(nic.ip).version, ipaddress.ip_network(nic.cidr)
    everywhere = ipaddress.ip_network("0.0.0.0/0" if version == 4 else "::/0")
    route = {"network": str(everywhere.network_address), "netmask": str(everywhere.netmask), "gateway": nic.gateway}
    return shown | {
        "type": f"ipv{version}",
        "ip_address": nic.ip,
        "netmask": str(cidr.netmask),
        "routes": [route] if nic.gateway is not None else [],
        "services": [_dns(server) for server in nic.dns],
    }


def _dns(address: str) -> dict[str, str]:
    return {"type": "dns", "address": address}
