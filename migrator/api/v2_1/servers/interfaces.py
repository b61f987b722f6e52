"""A server's addresses and interfaces: ``/servers/{id}/ips`` and ``/servers/{id}/os-interface``.

An interface is made with its server and goes with it. One in a network that only hosts' settings name has no port.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.api.json_schema import shortened
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.servers import view
from migrator.api.v2_1.servers.servers import find
from migrator.errors import BadRequest, NotFound
from migrator.protocol import NicSpec

_TAGS = (2, 70)


def _addresses(request: ApiRequest) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    found = view.addresses(find(request, request.params["id"]).networks)
    return {
        network: [{"version": one["version"], "addr": one["addr"]} for one in some] for network, some in found.items()
    }


def addresses(request: ApiRequest) -> Answer:
    return Answer(200, {"addresses": _addresses(request)})


def of_network(request: ApiRequest) -> Answer:
    """By the network's name."""
    found, name = _addresses(request), request.params["network"]
    if name not in found:
        raise NotFound(f"Network {shortened(name)} not found for instance {request.params['id']}")
    return Answer(200, {name: found[name]})


def index(request: ApiRequest) -> Answer:
    return Answer(200, {"interfaceAttachments": [_view(request, nic) for nic in _ports(request)]})


def show(request: ApiRequest) -> Answer:
    port = request.params["port"]
    for nic in _ports(request):
        if nic.port == port:
            return Answer(200, {"interfaceAttachment": _view(request, nic)})
    raise NotFound(f"Instance {request.params['id']} does not have a port with id {shortened(port)}")


def change(request: ApiRequest) -> Answer:
    find(request, request.params["id"])
    raise BadRequest("Interfaces are made with the server (networks), and go when it is deleted.")


def _ports(request: ApiRequest) -> Sequence[NicSpec]:
    row = find(request, request.params["id"])
    found = (NicSpec.model_validate(nic) for nic in row.spec.get("nics") or ())
    return [nic for nic in found if nic.network_id]


def _view(request: ApiRequest, nic: NicSpec) -> dict[str, Any]:
    """The network's only subnet goes by the network's id."""
    fixed = [{"subnet_id": nic.network_id, "ip_address": nic.ip}] if nic.ip else []
    shown = {"net_id": nic.network_id, "port_id": nic.port, "mac_addr": nic.mac, "port_state": "ACTIVE"}
    return {**shown, "fixed_ips": fixed} | ({"tag": nic.tag} if request.version >= _TAGS else {})
