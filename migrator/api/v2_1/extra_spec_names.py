"""The extra specs that Nova knows, which a request from 2.86 on may set only by these names and with such values.

Owns names and values alone: which of them are honoured is in ``migrator/supported.py``. Data and pure functions only.
"""

import re
from collections.abc import Mapping

from migrator.api.json_schema import shortened
from migrator.errors import BadRequest

_WHOLE = r"\d+"
_TRUTH = r"(?i:true|false|yes|no|on|off|1|0|t|f|y|n)"
_ANY = r".*"
# namespace -> (what may stand after it, its values); a name without one of these namespaces is free
_KNOWN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "accel:": (("device_profile", _ANY),),
    "aggregate_instance_extra_specs:": ((".+", _ANY),),
    "capabilities:": ((".+", _ANY),),
    "hw:": (
        ("(boot_menu|mem_encryption|pmu|vif_multiqueue_enabled|hide_hypervisor_id)", _TRUTH),
        ("(tpm_secret_security|locked_memory|emulator_threads_policy|cpu_realtime)", _ANY),
        ("cpu_policy", "(dedicated|shared|mixed)"),
        ("cpu_thread_policy", "(prefer|isolate|require)"),
        ("(cpu_sockets|cpu_cores|cpu_threads|cpu_max_sockets|cpu_max_cores|cpu_max_threads)", _WHOLE),
        ("(max_sockets|max_cores|max_threads|serial_port_count|numa_nodes|pci_numa_affinity_policy_count)", _WHOLE),
        (r"numa_mem\.\d+", _WHOLE),
        (r"(numa_cpus\.\d+|cpu_realtime_mask|cpu_dedicated_mask|mem_page_size|pmem|maxphysaddr_bits)", _ANY),
        ("maxphysaddr_mode", "(passthrough|emulate)"),
        ("firmware_type", "(bios|uefi)"),
        ("(viommu_model|virtio_packed_ring|virtio_iommu|ephemeral_encryption|ephemeral_encryption_format)", _ANY),
        ("pci_numa_affinity_policy", "(required|preferred|legacy|socket)"),
        ("(tpm_version|tpm_model|watchdog_action|sound_model|usb_model|redirected_usb_ports)", _ANY),
        ("pci_less_or_none", _ANY),
    ),
    "hw_rng:": (("allowed", _TRUTH), ("(rate_bytes|rate_period)", _WHOLE)),
    "hw_video:": (("ram_max_mb", _WHOLE),),
    "os:": (("secure_boot", "(required|disabled|optional)"), ("(require_quiesce|vsphere_.*)", _ANY)),
    "pci_passthrough:": (("alias", _ANY),),
    "powervm:": ((".+", _ANY),),
    "quota:": (
        ("(cpu_shares|cpu_period|cpu_quota|cpu_limit|cpu_reservation|memory_limit|memory_reservation)", r"-?\d+"),
        ("(disk_io|vif|disk|memory|cpu)_.+", _ANY),
        ("(disk|vif)_(read|write|total|inbound|outbound)_.+", _ANY),
    ),
    "resources": ((r"[0-9A-Za-z_-]*:[A-Z0-9_]+", _WHOLE),),
    "trait": ((r"[0-9A-Za-z_-]*:[A-Z0-9_]+", "(required|forbidden)"),),
    "vmware:": ((".+", _ANY),),
}


def check(specs: Mapping[str, str]) -> None:
    """Raises BadRequest for a name, or a value, that Nova does not know within a namespace of its own."""
    for name, value in specs.items():
        namespace = next((one for one in _KNOWN if name.startswith(one)), None)
        if namespace is None:
            continue
        rest = name.removeprefix(namespace)
        values = [values for known, values in _KNOWN[namespace] if re.fullmatch(known, rest)]
        if not values:
            raise BadRequest(
                f"Validation failed; extra spec {shortened(repr(name))} does not appear to be a valid extra spec."
            )
        if not any(re.fullmatch(one, value, re.S) for one in values):
            raise BadRequest(
                f"Validation failed; extra spec {shortened(repr(name))} has the value {shortened(repr(value))}; "
                f"expected {values[0]}"
            )
