"""A guest, its host and a destination that pass every check of a live migration; tests change one thing of them."""

from dataclasses import replace
from typing import Any

from migrator.protocol import (
    CpuAnswer,
    DiskFact,
    DiskSpec,
    GuestDescription,
    InstanceSpec,
    NicSpec,
    PeerProbe,
    Survey,
    guest_cpu,
)
from migrator.scheduler.checks.filters import findings
from migrator.scheduler.checks.finding import (
    Candidate,
    CheckFinding,
    PlacementRequest,
    SourceHost,
    SurveyRecord,
)
from migrator.scheduler.decision.snapshot import HostView, Liveness
from tests.unit.scheduler.checks.placed import report

GIB = 1024**3


CPU = "<cpu><model>Westmere</model><topology sockets='1'/></cpu>"


KEY = guest_cpu.key("x86_64", "pc-7", CPU)


A_URI, B_URI = "qemu+tcp://10.0.0.1/system", "qemu+tcp://10.0.0.2/system"


SPEC = InstanceSpec(
    uuid="i",
    name="i",
    vcpus=2,
    memory_mb=512,
    disks=(DiskSpec(target="vda", pool="local", size_gb=1),),
    nics=(NicSpec(network="private", mac="52:54:00:00:00:01"),),
)


GUEST = GuestDescription(
    cpu_xml=CPU,
    machine="pc-7",
    hypervisor_version=7,
    storage={"local": "A", "shared": "G"},
    disks=(DiskFact(target="vda", path="/d", pool="local", exists=True, virtual_bytes=2 * GIB),),
)


THERE = Survey(
    clock_offset_s=0.5,
    clock_error_s=0.01,
    addresses=("10.0.0.2",),
    memory_allocated_mb=100,
    runs={KEY: CpuAnswer(ok=True, message="every feature")},
    peers={"a": PeerProbe(uri=A_URI, ok=True)},
)


HERE = Survey(clock_offset_s=0.1, clock_error_s=0.01, peers={"b": PeerProbe(uri=B_URI, ok=True)})


def here(survey: Survey | None = HERE, age_s: float = 1.0) -> SourceHost:
    view = HostView(name="a", report=report(local="A", live_migration_uri=A_URI), silent_s=1, liveness=Liveness.HEARD)
    return SourceHost(view, None if survey is None else SurveyRecord(survey, age_s))


def there(
    survey: Survey | None = THERE, age_s: float = 2.0, view: dict[str, Any] | None = None, **changes: Any
) -> Candidate:
    host = HostView(
        name="b", report=report(**({"networks": ("private",)} | changes)), silent_s=3, liveness=Liveness.HEARD
    )
    surveyed = None if survey is None else SurveyRecord(survey, age_s)
    return Candidate(replace(host, **(view or {})), 8, 3000, 9, surveyed)


NEED = PlacementRequest(
    instance=SPEC, vcpus=2, memory_mb=512, disk_gb=1, source="a", guest=GUEST, live=True, origin=here(), guest_age_s=1
)


def finding(code: str, candidate: Candidate, need: PlacementRequest = NEED) -> CheckFinding:
    return dict(findings(candidate, need))[code]
