"""``/servers/{id}/diagnostics``: what a running server consists of, in Nova's forms before and after 2.48.

Owns which figures are told. Those that its host alone could count now - times, bytes, packets - are null, and left out
below 2.48: no agent tells them, and no request waits for a host.
"""

from typing import Any

from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.servers.servers import find
from migrator.errors import Conflict
from migrator.protocol import InstanceSpec

_ONE_FORM = (2, 48)
_RUNNING = 1
_STATES = {0: "pending", 1: "running", 3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}  # power_state
_OF_DISKS = ("read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count")
_OF_NICS = ("octets", "errors", "drop", "packets", "rate")


def show(request: ApiRequest) -> Answer:
    """Raises Conflict in Nova's words unless the guest runs."""
    row = find(request, request.params["id"])
    if row.host is None:
        raise Conflict(f"Instance {row.uuid} is not ready")
    if row.power_state != _RUNNING:
        state = _STATES.get(row.power_state, "pending")
        raise Conflict(f"Cannot 'get_diagnostics' instance {row.uuid} while it is in power state {state}")
    spec = InstanceSpec.model_validate(row.spec)
    return Answer(200, _body(row, spec) if request.version >= _ONE_FORM else {"memory": spec.memory_mb * 1024})


def _body(row: Any, spec: InstanceSpec) -> dict[str, Any]:
    disks, nics = [*spec.disks, *spec.volumes], spec.nics
    return {
        "state": _STATES[_RUNNING],
        "driver": "libvirt",
        "hypervisor": None,
        "hypervisor_os": None,
        "uptime": None,
        "config_drive": row.config_drive,
        "num_cpus": spec.vcpus,
        "num_nics": len(nics),
        "num_disks": len(disks),
        "disk_details": [dict.fromkeys(_OF_DISKS) for _ in disks],
        "cpu_details": [{"id": number, "time": None, "utilisation": None} for number in range(spec.vcpus)],
        "nic_details": [
            {"mac_address": nic.mac} | {f"{way}_{what}": None for way in ("rx", "tx") for what in _OF_NICS}
            for nic in nics
        ],
        "memory_details": {"maximum": spec.memory_mb, "used": None},
    }
