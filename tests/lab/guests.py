"""A guest that is moved while it is not running, followed on all hosts; and what must hold wherever it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from migrator.lab import LabHost
from migrator.lab.layout import LOCAL
from migrator.lab.ticks import Content, TickFollower
from tests.lab.cluster import MEMORY_MB, Cluster
from tests.waiting import PATIENCE, wait_for

FILL_MIB = 24
GUEST_ARGS = f"ballast=4 fill={FILL_MIB} again=1"
SLOW_MIB_S = 8  # a copy of the content then has a middle
DONE = {"confirmed", "reverted", "error", "failed", "completed", "cancelled"}


@dataclass
class Guest:
    """``content``: what it wrote to its disk at its first boot. ``before``: every host's claims without it."""

    cluster: Cluster
    uuid: str
    pool: str
    ticks: TickFollower
    content: Content
    before: dict[str, int]

    @property
    def host(self) -> LabHost:
        return self.cluster.where(self.uuid)

    def another(self, *but: str) -> LabHost:
        taken = {self.host.name, *but}
        return next(host for host in self.cluster.lab.hosts if host.name not in taken)

    def act(self, action: str, value: Any = None, status: int = 202) -> httpx.Response:
        answer = self.cluster.http.post(f"/servers/{self.uuid}/action", json={action: value})
        assert answer.status_code == status, answer.text
        return answer

    def operation(self) -> dict[str, Any]:
        """The newest one that moves it."""
        return next(row for row in self._operations() if row["kind"] in ("migration", "resize", "evacuation"))

    def _operations(self) -> list[dict[str, Any]]:
        query = {"instance": self.uuid}
        found = httpx.get(f"{self.cluster.url}/v1/operations", params=query, trust_env=False, timeout=PATIENCE * 30)
        rows: list[dict[str, Any]] = found.json()["operations"]
        return rows

    def timeline(self) -> str:
        """Of the newest move, for the words of a failure."""
        path = f"{self.cluster.url}/v1/operations/{self.operation()['id']}/timeline"
        events = httpx.get(path, trust_env=False, timeout=PATIENCE * 30).json()["events"]
        return "\n".join(f"{e['offset_ms']:>6} {e['host'] or '-':<3} {e['message']}" for e in events)

    def wait(self, status: str, timeout: float = 90) -> dict[str, Any]:
        """The newest move as soon as it is so far."""

        def there() -> dict[str, Any] | None:
            found = self.operation()
            assert found["status"] == status or found["status"] not in DONE, (found, self.timeline())
            return found if found["status"] == status and (found["active"] or status in DONE) else None

        reached: dict[str, Any] = wait_for(there, timeout, f"the move of {self.uuid} to be {status}")
        return reached

    def wait_over(self, timeout: float = 90) -> dict[str, Any]:
        """The newest move once nothing of it is left to do."""

        def over() -> dict[str, Any] | None:
            found = self.operation()
            return None if found["active"] else found

        reached: dict[str, Any] = wait_for(over, timeout, f"the move of {self.uuid} to be over")
        return reached

    def wait_phase(self, phase: str) -> None:
        """Until the newest move is in the phase; fails when it passed it unseen."""

        def there() -> bool:
            found = self.operation()
            assert found["active"], (found, self.timeline())
            return bool(found["phase"] == phase)

        wait_for(there, 30, f"the phase {phase} of {self.uuid}")

    def wait_copying(self, destination: LabHost) -> None:
        """Until the destination has a part of the disk, and not all: the middle."""
        self.wait_phase("copy")

        def begun() -> bool:
            return self.bytes_on(destination) > 2 << 20

        wait_for(begun, 30, f"bytes of {self.uuid} on {destination.name}")
        assert self.operation()["phase"] == "copy", "the copy is over already; it has no middle"

    def directory(self, host: LabHost) -> Path:
        """Of a local one's files, as seen from outside."""
        return host.outside(LOCAL) / self.uuid

    def bytes_on(self, host: LabHost) -> int:
        """Really allocated by its local files on the host."""
        found = self.directory(host).glob("**/*")
        return sum(file.stat().st_blocks * 512 for file in found if file.is_file())

    def defined_on(self) -> list[str]:
        """Names of the hosts that know its domain, running or not."""

        def listed(host: LabHost) -> list[str]:
            return host.run(["virsh", "list", "--uuid", "--all"]).split()

        return [host.name for host in self.cluster.lab.hosts if self.uuid in listed(host)]

    def assert_runs_only_here(self, host: LabHost, memory_mb: int = MEMORY_MB) -> None:
        """Every rule that holds when a move is over, however it went: it runs on ``host`` with the content that it
        wrote once, and no other host has a copy or a claim."""
        cluster = self.cluster
        shown = cluster.show(self.uuid)
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None), (shown, self.timeline())
        assert self.host.name == host.name
        self.ticks.wait_ticks(5)
        last = self.ticks.last()
        assert last is not None
        assert last.host == host.name
        kept = self.ticks.content()
        assert (kept.sum, kept.bytes) == (self.content.sum, FILL_MIB << 20)
        assert self.ticks.problems == [], self.ticks.problems
        assert cluster.runners(self.uuid) == [host.name]
        assert self.defined_on() == [host.name]
        if self.pool == "local":
            assert [h.name for h in cluster.lab.hosts if self.directory(h).exists()] == [host.name]
        used = {name: used - self.before[name] for name, used in cluster.used_memory().items()}
        assert used == {name: memory_mb if name == host.name else 0 for name in used}


@contextmanager
def booted(cluster: Cluster, image: str, pool: str, **more: Any) -> Iterator[Guest]:
    """A guest whose disk has its content; deleted at the end, without a trace on any host."""
    before = cluster.used_memory()
    uuid = cluster.boot(pool, image, **more)
    with cluster.follow(uuid) as ticks:
        content = ticks.first_content()
        assert content.new
        guest = Guest(cluster, uuid, pool, ticks, content, before)
        yield guest
    cluster.delete(uuid)
    assert guest.defined_on() == []
    assert sum(cluster.used_memory().values()) == sum(before.values())
    assert not any(guest.directory(host).exists() for host in cluster.lab.hosts)


def force_down(cluster: Cluster, host: LabHost, down: bool) -> httpx.Response:
    """What a fencing tool tells, or takes back."""
    services = cluster.http.get("/os-services", params={"host": host.name}).json()["services"]
    return cluster.http.put(f"/os-services/{services[0]['id']}", json={"forced_down": down})
