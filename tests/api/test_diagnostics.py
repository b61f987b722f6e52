"""``/servers/{id}/diagnostics``: the fields of Nova's answer, before and after 2.48."""

import pytest

from migrator.scheduler.requests.requests import Caller
from tests.api import seed
from tests.api.harness import Api

NIC = {"network": "lab", "mac": "52:54:00:00:00:01", "ip": "10.9.0.100"}
# as in the captures, at 2.104
FIELDS = "state driver hypervisor hypervisor_os uptime config_drive num_cpus num_nics num_disks disk_details "
FIELDS += "cpu_details nic_details memory_details"
OF_A_DISK = "read_bytes read_requests write_bytes write_requests errors_count"
OF_A_NIC = "mac_address rx_octets rx_errors rx_drop rx_packets rx_rate tx_octets tx_errors tx_drop tx_packets tx_rate"


def guest(api: Api, **more: object) -> str:
    uuid = seed.new_uuid()
    disks = [{"target": "vda", "pool": "local", "size_gb": 1}, {"target": "vdb", "pool": "local", "size_gb": 2}]
    spec = {"uuid": uuid, "name": "a", "vcpus": 2, "memory_mb": 512, "disks": disks, "nics": [NIC]}
    return seed.instance(api.db, "a", uuid=uuid, spec=spec, **more)


def test_what_is_known_is_told_and_what_only_the_host_could_count_is_null(api: Api) -> None:
    path = f"/servers/{guest(api, config_drive=True)}/diagnostics"
    for version in ("2.1", "2.47"):
        assert api("GET", path, version).json == {"memory": 524288}
    for version in ("2.48", "2.104"):
        told = api("GET", path, version).json
        assert set(told) == set(FIELDS.split())
        assert (told["state"], told["driver"], told["config_drive"], told["uptime"]) == (
            "running",
            "libvirt",
            True,
            None,
        )
        assert (told["num_cpus"], told["num_disks"], told["num_nics"]) == (2, 2, 1)
        assert told["memory_details"] == {"maximum": 512, "used": None}
        assert told["cpu_details"] == [{"id": number, "time": None, "utilisation": None} for number in (0, 1)]
        assert told["disk_details"] == [dict.fromkeys(OF_A_DISK.split())] * 2
        assert told["nic_details"] == [dict.fromkeys(OF_A_NIC.split()) | {"mac_address": NIC["mac"]}]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"power_state": 4, "vm_state": "stopped"}, "while it is in power state shutdown"),
        ({"power_state": 3, "vm_state": "paused"}, "while it is in power state paused"),
        ({"host": None, "vm_state": "building"}, "is not ready"),
    ],
)
def test_a_guest_that_does_not_run_is_refused_as_by_nova(api: Api, state: dict[str, object], message: str) -> None:
    answer = api("GET", f"/servers/{guest(api, **state)}/diagnostics")
    assert answer.status == 409
    assert message in answer.message


def test_they_are_an_administrators(api: Api) -> None:
    uuid = guest(api)
    assert api("GET", f"/servers/{seed.new_uuid()}/diagnostics").status == 404
    api.web.caller = Caller("alice", "admin", "", is_admin=False)
    assert api("GET", f"/servers/{uuid}/diagnostics").status == 403
    api.web.caller = Caller("bob", "another", "", is_admin=False)
    assert api("GET", f"/servers/{uuid}/diagnostics").status == 404
