"""What the demo does on its stage: boot an instance on each storage, live-migrate both, measure. No printing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.demo.cloud import DemoFailed, wait_for
from migrator.demo.stage import Stage

if TYPE_CHECKING:
    from migrator.lab.ticks import TickFollower

Tell = Callable[[str], None]
Watch = Callable[[str, dict[str, Any] | None], None]
STORAGES = ("shared", "local")


@dataclass(frozen=True, slots=True)
class Move:
    """One move, as ``--json`` prints it, and its operation's id. ``*_ms`` None: not measured (simulated guests)."""

    operation: int
    server: str
    name: str
    migration_type: str
    status: str
    source: str
    destination: str | None
    storage: str
    total_ms: int
    downtime_ms: int | None
    guest_gap_ms: int | None

    def public(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "operation"}


def play(stage: Stage, tell: Tell, watch: Watch) -> list[Move]:
    """Raises DemoFailed when an instance does not come up, a move does not complete, or a guest saw it happen."""
    cloud = stage.cloud
    tell("images and flavors")
    image = stage.image()
    flavors = {storage: cloud.flavor(f"tiny.{storage}", storage) for storage in STORAGES}
    servers = {storage: cloud.boot(f"{storage}-1", flavors[storage], image) for storage in STORAGES}
    for storage, uuid in servers.items():
        found = cloud.wait_active(uuid)
        tell(f"{found['name']} runs on {found['OS-EXT-SRV-ATTR:host']} ({storage} storage)")
    return [_move(stage, storage, uuid, tell, watch) for storage, uuid in servers.items()]


def _move(stage: Stage, storage: str, uuid: str, tell: Tell, watch: Watch) -> Move:
    cloud = stage.cloud
    name = cloud.server(uuid)["name"]
    with _ticks(stage, uuid) as ticks:
        tell(f"live-migrating {name}")
        begun = time.monotonic()
        operation = cloud.live_migrate(uuid)
        ended = wait_for(lambda: _over(stage, uuid, operation["id"], name, watch), f"the migration of {name}")
        watch(name, None)
        if ended["status"] != "completed":
            raise DemoFailed(f"the migration of {name} ended as {ended['status']}: {ended['error']}")
        gap = _gap(ticks, begun)
    outcome = ended["outcome"] or {}
    total = cloud.timeline(ended["id"])[-1]["offset_ms"]
    return Move(
        operation=ended["id"],
        server=uuid,
        name=name,
        migration_type=ended["kind"],
        status=ended["status"],
        source=ended["source"],
        destination=ended["destination"],
        storage=storage,
        total_ms=total,
        downtime_ms=outcome.get("downtime_ms"),
        guest_gap_ms=gap,
    )


def _over(stage: Stage, uuid: str, ident: int, name: str, watch: Watch) -> dict[str, Any] | None:
    found = stage.cloud.operation(ident)
    if not found["active"]:
        return found
    watch(name, stage.cloud.progress(uuid, ident) or {})
    return None


@contextmanager
def _ticks(stage: Stage, uuid: str) -> Iterator["TickFollower | None"]:
    """Follow the guest's ticks, from a moment in which it is seen to live; None where guests are simulated."""
    consoles = stage.consoles(uuid)
    if not consoles:
        yield None
        return
    from migrator.lab.ticks import TickFollower

    with TickFollower(consoles) as ticks:
        ticks.wait_ticks(10, timeout=60)
        yield ticks


def _gap(ticks: "TickFollower | None", begun: float) -> int | None:
    """The longest silence between two ticks since ``begun``, ms. Raises DemoFailed if the guest lived twice."""
    if ticks is None:
        return None
    ticks.wait_ticks(5, timeout=30)
    if ticks.problems:
        raise DemoFailed("the guest's ticks are not those of one life: " + "; ".join(ticks.problems))
    return round(ticks.max_gap_ms(since=begun, until=time.monotonic()))
