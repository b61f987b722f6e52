"""How long a guest on shared storage is out of service: in a cold migration through the API, and moved by hand."""

import os
import statistics
import time
from dataclasses import dataclass
from typing import Any

import httpx

from migrator.lab import LabHost
from migrator.lab.ticks import TickFollower
from tests.bench.lab import bench_cluster
from tests.lab.cluster import Cluster
from tests.waiting import wait_for

ROUNDS = int(os.environ.get("BENCH_COLD_ROUNDS", "3"))  # there and back, by each way
LOOK_S = 0.02


@dataclass
class Guest:
    uuid: str
    ticks: TickFollower
    boots: int = 0

    def wait_boot(self) -> None:
        """Until it answers a shutdown: it was booted once more, and ticks."""
        self.boots += 1
        self.ticks.wait_boots(self.boots)
        self.ticks.wait_ticks(20, timeout=60)


def run() -> list[str]:
    with bench_cluster() as cluster:
        return _measure(cluster)


def _measure(cluster: Cluster) -> list[str]:
    uuid = cluster.boot("shared")
    with cluster.follow(uuid) as ticks:
        return _taking_turns(cluster, Guest(uuid, ticks))


def _taking_turns(cluster: Cluster, guest: Guest) -> list[str]:
    guest.wait_boot()
    api: list[float] = []
    parts: dict[str, list[float]] = {"shutdown": [], "define": [], "start": []}
    for number in range(2 * ROUNDS + 2):
        found = _by_api(cluster, guest)
        if number % 2 == 0:  # each way's second begins where the record says
            _by_hand_there_and_back(cluster, guest, parts if number >= 2 else {name: [] for name in parts})
        if number >= 2:  # images are cached from now on, on both
            api.append(found)
    sums = [sum(one) for one in zip(*parts.values(), strict=True)]
    ours, theirs = statistics.median(api), statistics.median(sums)
    medians = " | ".join(f"{statistics.median(values):.0f} ms" for values in parts.values())
    return [
        "| moves by API | by hand | API | by hand, sum | times (aim 1.10) | shutdown | define | start |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| {len(api)} | {len(sums)} | {ours:.0f} ms | {theirs:.0f} ms | {ours / theirs:.2f} | {medians} |",
        "",
        "API: `out_of_service_ms` of the operation, from the request to shut down to the report that it runs. "
        f"Load {os.getloadavg()[0]:.1f} at the end.",
    ]


def _by_api(cluster: Cluster, guest: Guest) -> float:
    """Milliseconds out of service; confirmed and cleaned up when it returns."""
    uuid = guest.uuid
    _act(cluster, uuid, "migrate")
    found = wait_for(lambda: _reached(cluster, uuid, "finished"), 120, "the migration to finish")
    guest.wait_boot()
    _act(cluster, uuid, "confirmResize")
    wait_for(lambda: _reached(cluster, uuid, "confirmed"), 60, "the migration to be confirmed")
    return float(found["outcome"]["out_of_service_ms"])


def _act(cluster: Cluster, uuid: str, action: str) -> None:
    answer = cluster.http.post(f"/servers/{uuid}/action", json={action: None})
    if answer.status_code not in (202, 204):
        raise RuntimeError(f"{action}: {answer.text}")


def _reached(cluster: Cluster, uuid: str, status: str) -> dict[str, Any] | None:
    url = f"{cluster.url}/v1/operations"
    rows = httpx.get(url, params={"instance": uuid}, trust_env=False).json()["operations"]
    found: dict[str, Any] = next(row for row in rows if row["kind"] == "migration")
    if found["status"] in ("error", "failed"):
        raise RuntimeError(f"the migration ended as {found['status']}: {found['error']}")
    if status == "confirmed" and found["active"]:
        return None
    return found if found["status"] == status else None


def _by_hand_there_and_back(cluster: Cluster, guest: Guest, parts: dict[str, list[float]]) -> None:
    here = cluster.where(guest.uuid)
    there = next(host for host in cluster.lab.hosts if host.name != here.name)
    for one, other in ((here, there), (there, here)):
        _by_hand(guest.uuid, one, other, parts)
        guest.wait_boot()


def _by_hand(uuid: str, here: LabHost, there: LabHost, parts: dict[str, list[float]]) -> None:
    xml = there.directory / "bench.xml"
    xml.write_text(here.run(["virsh", "dumpxml", "--inactive", "--security-info", uuid]))
    marks = [time.perf_counter()]
    here.run(["virsh", "shutdown", uuid])
    while here.run(["virsh", "domstate", uuid]).strip() != "shut off":
        time.sleep(LOOK_S)
    marks.append(time.perf_counter())
    there.run(["virsh", "define", str(xml)])
    marks.append(time.perf_counter())
    there.run(["virsh", "start", uuid])
    marks.append(time.perf_counter())
    for name, begin, end in zip(parts, marks, marks[1:], strict=False):
        parts[name].append((end - begin) * 1000)
    here.run(["virsh", "undefine", uuid])
