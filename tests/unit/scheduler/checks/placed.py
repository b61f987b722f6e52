"""An instance with a local and a shared disk, a host's report, and an operation that moves it from "a" to "b"."""

from collections.abc import Mapping
from typing import Any

from migrator.operations import Kind
from migrator.protocol import DiskSpec, GuestDescription, HostReport, InstanceSpec, StoragePool
from migrator.scheduler.decision.operation_data import Context, Params
from migrator.scheduler.decision.snapshot import HostView, Liveness, OperationView, Snapshot

SPEC = InstanceSpec(
    uuid="i",
    name="i",
    vcpus=2,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1), DiskSpec(target="vdb", pool="shared", size_gb=1)),
)
GUEST = GuestDescription(machine="pc-7", arch="x86_64", hypervisor_version=7, storage={"local": "A", "shared": "G"})


def report(local: str = "B", shared: str = "G", **changes: Any) -> HostReport:
    storage = {
        n: StoragePool(identity=i, path="/", total_gb=9, free_gb=9) for n, i in (("local", local), ("shared", shared))
    }
    values = {
        "vcpus": 8,
        "memory_mb": 4096,
        "address": "10.0.0.2",
        "live_migration_uri": "qemu+tcp://10.0.0.2/system",
        "storage": storage,
        "machine_types": ("pc-7", "pc-8"),
        "hypervisor_version": 7,
    }
    return HostReport(**(values | changes))


def snapshot(
    kind: Kind,
    phase: str,
    *,
    forward: bool = True,
    locks_instance: bool = True,
    learnt: Mapping[str, Any] | None = None,
    **params: Any,
) -> Snapshot:
    view = OperationView(
        id=1,
        uuid="o",
        kind=kind,
        instance_uuid="i",
        phase=phase,
        forward=forward,
        epoch=3,
        generation=9,
        source="a",
        destination="b",
        locks_instance=locks_instance,
        params=Params.parse(params),
        context=Context.parse({"guest": GUEST.model_dump(mode="json"), **(learnt or {})}),
    )
    hosts = {n: HostView(name=n, report=report(local=n), silent_s=0, liveness=Liveness.HEARD) for n in ("a", "b")}
    return Snapshot(view, SPEC, hosts, {})
