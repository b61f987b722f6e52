"""What evacuations of many instances are judged by, read at once. Changes nothing.

Owns that one reading does for a whole fleet: whatever hosts are lost, nothing more is asked of the database. Never says
whether an evacuation may begin.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.db import claims, hosts, images
from migrator.db.engine import Connection
from migrator.db.rows import HostRow, InstanceRow
from migrator.protocol import HostReport, InstanceSpec, StoragePool
from migrator.scheduler.checks.aggregates import HostAggregates
from migrator.scheduler.checks.finding import PlacementRequest
from migrator.scheduler.checks.neighbours import NO_NEIGHBOURS, Neighbours
from migrator.scheduler.requests import evacuation
from migrator.scheduler.state import aggregates, host_views, neighbours, shared_proofs
from migrator.scheduler.state.effects import amounts


@dataclass(frozen=True, slots=True)
class EvacuationFacts:
    """``storage``: host -> its pools; ``holders``: instance -> hosts that hold something of it; ``neighbours``: of each
    instance that has any; ``aggregates``: of all hosts; ``images``: whose bytes agents can fetch."""

    storage: Mapping[str, Mapping[str, StoragePool]]
    holders: Mapping[str, frozenset[str]]
    neighbours: Mapping[str, Neighbours]
    aggregates: HostAggregates
    images: Collection[str]

    def lost_host(self, row: HostRow, besides: Collection[str] = ()) -> "LostHost":
        """``besides``: hosts that are lost with it."""
        report, unreadable = host_views.report_of(row)
        storage = {name: pools for name, pools in self.storage.items() if name not in besides}
        return LostHost(row, report, unreadable, storage, shared_proofs.ages(row))

    def request_of(self, row: InstanceRow, spec: InstanceSpec, lost: "LostHost") -> PlacementRequest:
        """What an evacuation of the instance would ask of a host."""
        vcpus, memory_mb, disk_gb = amounts(row.flavor, volume_backed=bool(row.spec.get("home")))
        return PlacementRequest(
            instance=spec,
            vcpus=vcpus,
            memory_mb=memory_mb,
            disk_gb=disk_gb,
            source=row.host,
            guest=evacuation.describe_guest(lost.report),
            holders=self.holders.get(row.uuid, frozenset()) - {row.host or ""},
            surviving=lost.surviving(spec),
            missing_images=tuple(sorted({image.id for image in spec.images}.difference(self.images))),
            neighbours=self.neighbours.get(row.uuid, NO_NEIGHBOURS),
            aggregates=aggregates.asked(self.aggregates, row.availability_zone, row.flavor),
        )


@dataclass(frozen=True, slots=True)
class LostHost:
    """What is known of a host without asking it. ``storage``: every host that is not lost -> its pools; ``proof_ages``:
    see ``shared_proofs.ages``."""

    row: HostRow
    report: HostReport
    unreadable: str
    storage: Mapping[str, Mapping[str, StoragePool]]
    proof_ages: Mapping[str, float]
    _surviving: dict[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)

    def surviving(self, spec: InstanceSpec) -> Mapping[str, str]:
        """See ``evacuation.surviving_pools``; instances in the same pools share the answer."""
        pools = spec.pools
        if pools not in self._surviving:
            self._surviving[pools] = evacuation.surviving_pools(self.storage, spec, self.report, self.row.name)
        return self._surviving[pools]


def read(connection: Connection, instances: Sequence[InstanceRow], *, everything: bool = False) -> EvacuationFacts:
    """``everything``: the instances are all that are on hosts."""
    uuids = None if everything else [row.uuid for row in instances]
    return EvacuationFacts(
        hosts.storage(connection),
        claims.all_holders(connection, uuids),
        neighbours.load_all(connection, instances, uuids),
        aggregates.load_every(connection),
        images.all_with_data(connection),
    )
