"""Whole live migrations of one guest between two real hosts: through the API, and by ``virsh`` with the same flags.

They take turns, there and back, so that whatever else the machine does falls on both, and the record stays right.
"""

import contextlib
import json
import re
import shutil
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from migrator.lab import LabHost
from migrator.settings import ServerSettings
from tests.bench.lab import bench_cluster
from tests.lab.cluster import Cluster

PAIRS = 10  # there and back, by each way
POLLERS = 8
POLL_PAUSE_S = 0.25
ALLOWED = (1.10, 300.0)  # times, and milliseconds on top
LOOK_S = 0.25  # for the end itself the timeline is asked
MAX_DOWNTIME_MS = ServerSettings.model_fields["live_migration_downtime"].default


@dataclass
class Taken:
    """Milliseconds of each move: whole, and the guest's downtime as libvirt's source counts it."""

    whole: list[float] = field(default_factory=list)
    downtime: list[float] = field(default_factory=list)
    phases: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def run() -> list[str]:
    with bench_cluster() as cluster:
        return _measure(cluster)


def _measure(cluster: Cluster) -> list[str]:
    lines = [
        "| storage | moves each | API | virsh | times | over aim of 1.10 x + 300 ms | downtime API | downtime virsh |"
        " API while 8 clients poll |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    phases = ["", "Where the API's time goes (median, ms):", "", "| storage | " + " | ".join(PHASES) + " |"]
    phases.append("| --- |" + " --- |" * len(PHASES))
    for pool in ("shared", "local"):
        uuid = cluster.boot(pool)
        with cluster.follow(uuid) as ticks:
            ticks.wait_ticks(20, timeout=60)
        api, virsh, polled = Taken(), Taken(), Taken()
        _there_and_back(cluster, uuid, _by_api, Taken())  # images are cached from now on, on both
        for _ in range(PAIRS):
            _there_and_back(cluster, uuid, _by_api, api)
            _there_and_back(cluster, uuid, _by_virsh, virsh)
        with _polling(cluster):
            for _ in range(PAIRS):
                _there_and_back(cluster, uuid, _by_api, polled)
        cluster.delete(uuid)
        lines.append(f"| {pool} | {len(api.whole)} | " + _row(api, virsh, polled))
        phases.append(f"| {pool} | " + " | ".join(f"{_median(api.phases[name]):.0f}" for name in PHASES) + " |")
    return lines + phases


PHASES = ("inspect", "claim", "check", "prepare", "transfer", "commit", "cleanup", "release")


def _row(api: Taken, virsh: Taken, polled: Taken) -> str:
    ours, theirs = _median(api.whole), _median(virsh.whole)
    over = ours - (ALLOWED[0] * theirs + ALLOWED[1])
    cells = [f"{ours:.0f} ms", f"{theirs:.0f} ms", f"{ours / theirs:.2f}", f"{over:+.0f} ms"]
    cells += [f"{_median(api.downtime):.0f} ms", f"{_median(virsh.downtime):.0f} ms"]
    return " | ".join([*cells, f"{_median(polled.whole):.0f} ms"]) + " |"


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


Move = Callable[[Cluster, str, LabHost, LabHost, Taken], None]


def _there_and_back(cluster: Cluster, uuid: str, move: Move, taken: Taken) -> None:
    source = cluster.where(uuid)
    other = next(host for host in cluster.lab.hosts if host.name != source.name)
    for here, there in ((source, other), (other, source)):
        move(cluster, uuid, here, there, taken)


def _by_api(cluster: Cluster, uuid: str, _here: LabHost, there: LabHost, taken: Taken) -> None:
    begin = time.perf_counter()
    cluster.migrate(uuid, there.name)
    answered_ms = (time.perf_counter() - begin) * 1000
    ident = cluster.operation(uuid)["id"]
    with httpx.Client(base_url=cluster.url, trust_env=False) as http:
        while not (found := http.get(f"/v1/operations/{ident}").json()["operation"])["finished_at"]:
            time.sleep(LOOK_S)
        if found["status"] != "completed":
            raise RuntimeError(f"the migration ended as {found['status']}: {found['error']}")
        time.sleep(0.5)  # the destination's measurement may follow
        found = http.get(f"/v1/operations/{ident}").json()["operation"]
        if (downtime := (found["outcome"] or {}).get("downtime_ms")) is not None:
            taken.downtime.append(downtime)
        events = http.get(f"/v1/operations/{ident}/timeline").json()["events"]
    taken.whole.append(answered_ms + events[-1]["offset_ms"])  # which counts from a moment within the request
    _note_phases(events, taken)


def _note_phases(events: list[dict[str, Any]], taken: Taken) -> None:
    """How long each phase lasted: from its line in the timeline to the next phase's."""
    marks = [e for e in events if e["name"] in ("phase", "end")]
    first = {"phase": PHASES[0], "offset_ms": 0}
    for mark, following in zip([first, *marks], marks, strict=False):
        taken.phases[mark["phase"]].append(following["offset_ms"] - mark["offset_ms"])


def _by_virsh(_cluster: Cluster, uuid: str, here: LabHost, there: LabHost, taken: Taken) -> None:
    copied = _make_targets(uuid, here, there)
    command = ["virsh", "migrate", "--live", "--p2p", "--undefinesource", "--persistent", "--abort-on-error"]
    if copied:
        command += ["--copy-storage-inc", "--migrate-disks", ",".join(copied)]
    command += [uuid, f"qemu+tcp://{there.address}/system", f"tcp://{there.address}"]
    here.run(["virsh", "migrate-setmaxdowntime", uuid, str(MAX_DOWNTIME_MS)])  # QEMU's own 300 ms are not ours
    begin = time.perf_counter()
    here.run(command)
    taken.whole.append((time.perf_counter() - begin) * 1000)
    shown = there.run(["virsh", "domjobinfo", "--completed", uuid])
    if match := re.search(r"^Total downtime:\s+(\d+)\s+ms", shown, re.MULTILINE):
        taken.downtime.append(float(match[1]))
    for path in copied.values():
        here.run(["rm", "-r", str(Path(path).parent)])


def _make_targets(uuid: str, here: LabHost, there: LabHost) -> dict[str, str]:
    """Empty target disks and the boot files beside them, as our ``prepare`` makes them: target -> path. None for
    what is shared."""
    made: dict[str, str] = {}
    listed = here.run(["virsh", "domblklist", uuid, "--details"])
    for kind, device, target, path in (line.split() for line in listed.splitlines()[2:] if line.strip()):
        if (kind, device) != ("file", "disk") or "/shared/" in path:
            continue
        about = json.loads(here.run(["qemu-img", "info", "-U", "--output=json", path]))
        command = ["qemu-img", "create", "-q", "-f", about["format"]]
        if backing := about.get("full-backing-filename"):
            command += ["-b", backing, "-F", about.get("backing-filename-format", "qcow2")]
        files = Path(path).parent
        shutil.copytree(here.outside(files), there.outside(files), ignore=shutil.ignore_patterns(Path(path).name))
        there.run([*command, path, str(about["virtual-size"])])
        made[target] = path
    return made


@contextlib.contextmanager
def _polling(cluster: Cluster) -> Iterator[None]:
    """Clients that look at the list of migrations, as dashboards do."""
    over = threading.Event()

    def poll() -> None:
        with httpx.Client(base_url=cluster.url, trust_env=False, timeout=30) as http:
            while not over.wait(POLL_PAUSE_S):
                http.get("/v2.1/os-migrations").raise_for_status()

    threads = [threading.Thread(target=poll) for _ in range(POLLERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
