"""``/os-networks``: what clients ask to find a network by its name where there is no network service.

Nova has it below 2.36 alone, and answers from Neutron. ``/v1/networks`` is where networks are made.
"""

from typing import Any

from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.common.schemas import space_separated
from migrator.db import networks as rows
from migrator.db.rows import NetworkRow

# Nova's view has a field for everything that nova-network knew.
_NONE = dict.fromkeys(
    space_separated(
        "bridge vlan cidr netmask broadcast gateway cidr_v6 gateway_v6 netmask_v6 dns1 dns2 host priority project_id "
        "injected bridge_interface multi_host vpn_public_address vpn_public_port vpn_private_address dhcp_start "
        "rxtx_base created_at updated_at deleted_at deleted dhcp_server enable_dhcp mtu share_address"
    )
)


def index(request: ApiRequest) -> Answer:
    with request.services.db.read() as connection:
        return Answer(200, {"networks": [_view(row) for row in rows.every(connection)]})


def show(request: ApiRequest) -> Answer:
    """By id or name."""
    with request.services.db.read() as connection:
        return Answer(200, {"network": _view(rows.get(connection, request.params["id"]))})


def _view(row: NetworkRow) -> dict[str, Any]:
    return {"id": row.uuid, "label": row.name, **_NONE}
