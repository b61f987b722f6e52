"""Real guests at four dirty rates under one bandwidth limit: moved by each fixed way, by auto, and by plain virsh.

Each guest goes back and forth between two hosts, one way after the other, while its ticks are followed.
"""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from migrator.lab import LabHost
from migrator.lab.image import KERNEL_ARGS, register_guest
from migrator.lab.ticks import TickFollower
from tests.bench.drawing import bars, page
from tests.bench.lab import bench_cluster
from tests.bench.live import MAX_DOWNTIME_MS
from tests.lab.cluster import Cluster
from tests.waiting import wait_for

RATES_MIB_S = (0.2, 4, 16, 32)
BALLAST_MIB = 32
LIMIT_MIB_S = 12
LONGEST_S = 24
COUNTED_GIB = 2  # what a small guest's limits are counted with
FIXED = ("pre-copy", "auto-converge", "post-copy")
STRATEGIES = (*FIXED, "auto")
WAYS = (*STRATEGIES, "virsh")
BREATH_S = 5  # before each move: the agents find a new server, and the guest comes to rest
NOTE = "Two totals of post-copy that differ by 2 s, one with a downtime and one without, are the same post-copy."
PLOT = Path(__file__).parents[2] / "docs" / "strategies.svg"
PAGES_A_MIB = 256


@dataclass(frozen=True, slots=True)
class Moved:
    """``total_ms`` None: it was ended after ``LONGEST_S``. ``downtime_ms`` None: libvirt counts none after post-copy.
    ``gap_ms``: the longest time without a tick. ``whole_ms``: from the request to the end of everything, with
    ``measuring_ms`` in which auto counts what the guest writes."""

    total_ms: float | None
    downtime_ms: float | None
    whole_ms: float
    remark: str
    measuring_ms: float
    gap_ms: float

    @property
    def moving_ms(self) -> float | None:
        """By one clock for all ways; ``total_ms`` is by two, see ``NOTE``."""
        return None if self.total_ms is None else self.whole_ms - self.measuring_ms


def run() -> list[str]:
    found: dict[float, dict[str, Moved]] = {}
    with bench_cluster() as cluster:
        for rate in RATES_MIB_S:
            args = f"{KERNEL_ARGS} ballast={BALLAST_MIB} dirty={round(rate * PAGES_A_MIB)}"
            with _guest(cluster, args) as (uuid, ticks):
                found[rate] = {way: _moved(cluster, uuid, ticks, way) for way in WAYS}
    _draw(found)
    return [*_table(found), "", *_verdict(found), "", NOTE, "", "![The same, drawn](strategies.svg)"]


@contextlib.contextmanager
def _guest(cluster: Cluster, args: str) -> Iterator[tuple[str, TickFollower]]:
    _serve(cluster, "auto")
    uuid = cluster.boot("shared", register_guest(cluster.url, kernel_args=args))
    with cluster.follow(uuid) as ticks:
        ticks.wait_ticks(50, timeout=60)
        for host in cluster.lab.hosts:  # virsh makes no directory for the console
            host.console_log(uuid).parent.mkdir(parents=True, exist_ok=True)
        yield uuid, ticks
        if ticks.problems or len(ticks.boots) != 1:
            raise RuntimeError(f"the guest did not live one life: {ticks.problems}, {ticks.boots}")
    cluster.delete(uuid)


def _serve(cluster: Cluster, way: str) -> None:
    cluster.serve(
        live_migration_strategy=way,
        live_migration_bandwidth=LIMIT_MIB_S,
        live_migration_permit_auto_converge=1,
        live_migration_permit_post_copy=1,
        live_migration_completion_timeout=LONGEST_S // COUNTED_GIB,
    )


def _moved(cluster: Cluster, uuid: str, ticks: TickFollower, way: str) -> Moved:
    if way in STRATEGIES:
        _serve(cluster, way)
    time.sleep(BREATH_S)
    begin = time.monotonic()
    counted = _by_virsh(cluster, uuid) if way == "virsh" else _by_api(cluster, uuid)
    ticks.wait_ticks(10, timeout=60)
    moved = Moved(*counted, gap_ms=ticks.max_gap_ms(begin))
    print(way, moved, flush=True)
    return moved


Counted = tuple[float | None, float | None, float, str, float]


def _by_api(cluster: Cluster, uuid: str) -> Counted:
    cluster.migrate(uuid, _other(cluster, cluster.where(uuid)).name)
    operation = cluster.wait_operation(uuid, LONGEST_S * 3)
    time.sleep(0.5)  # the destination's measurement may follow
    operation = cluster.operation(uuid)
    outcome, record = operation["outcome"] or {}, operation["strategy"] or {}
    remark = " then ".join(record[name] for name in ("chosen", "changed_to") if name in record)
    if (predicted := record.get("predicted_total_ms")) is not None:
        remark += f", predicted {predicted / 1000:.1f} s"
    events = cluster.timeline(uuid)
    whole_ms, measuring_ms = events[-1]["offset_ms"], _measuring_ms(events)
    if operation["status"] != "completed":
        return None, None, whole_ms, operation["error"]["code"], measuring_ms
    return outcome["elapsed_ms"], outcome.get("downtime_ms"), whole_ms, remark, measuring_ms


def _measuring_ms(events: Sequence[Mapping[str, Any]]) -> float:
    """How long the phase lasted; 0 without it."""
    marks = [event for event in events if event["name"] in ("phase", "end")]
    lasted = (
        after["offset_ms"] - begun["offset_ms"] for begun, after in pairwise(marks) if begun["phase"] == "measure"
    )
    return next(lasted, 0.0)


def _by_virsh(cluster: Cluster, uuid: str) -> Counted:
    here = cluster.where(uuid)
    there = _other(cluster, here)
    here.run(["virsh", "migrate-setmaxdowntime", uuid, str(MAX_DOWNTIME_MS)])
    begin = time.perf_counter()
    moving = here.spawn([*_virsh(uuid, there), "--bandwidth", str(LIMIT_MIB_S)], "virsh.log")
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not moving.alive, LONGEST_S, "virsh migrate")
    if moving.alive:
        here.run(["virsh", "domjobabort", uuid])
        wait_for(lambda: not moving.alive, 10, "virsh migrate to be ended")
        return None, None, _since(begin), "aborted", 0.0
    whole_ms = _since(begin)
    shown = there.run(["virsh", "domjobinfo", "--completed", uuid])
    there.run(_virsh(uuid, here))  # back, without a limit: the record says that it is there
    return _number(shown, "Time elapsed"), _number(shown, "Total downtime"), whole_ms, "", 0.0


def _since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1000


def _virsh(uuid: str, there: LabHost) -> list[str]:
    command = ["virsh", "migrate", "--live", "--p2p", "--persistent", "--abort-on-error", "--undefinesource"]
    return [*command, uuid, f"qemu+tcp://{there.address}/system", f"tcp://{there.address}"]


def _number(shown: str, name: str) -> float | None:
    match = re.search(rf"^{name}:\s+(\d+)\s+ms", shown, re.MULTILINE)
    return float(match[1]) if match else None


def _other(cluster: Cluster, here: LabHost) -> LabHost:
    return next(host for host in cluster.lab.hosts if host.name != here.name)


def _table(found: Mapping[float, Mapping[str, Moved]]) -> list[str]:
    lines = [
        f"Under {LIMIT_MIB_S} MiB/s; a guest with 128 MiB writes {BALLAST_MIB} MiB of them over and over.",
        "Total and downtime are libvirt's. It has neither for a post-copy that is over before anybody looks: then",
        "the total is the phase's own, with up to 2 s in which libvirt ends the move. Gap: the longest time without",
        "a tick of the guest, which ticks each 100 ms. Whole: from the request to the end of all cleaning, with the",
        "time that auto measures for: so small a guest is counted three times.",
        "",
        "| the guest writes | way | total | downtime | longest gap | whole | measured for | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rate, moved in found.items():
        for way, m in moved.items():
            total = f"ended after {LONGEST_S} s" if m.total_ms is None else f"{m.total_ms / 1000:.1f} s"
            downtime = "-" if m.downtime_ms is None else f"{m.downtime_ms:.0f} ms"
            cells = [
                f"{rate:g} MiB/s",
                way,
                total,
                downtime,
                f"{m.gap_ms:.0f} ms",
                f"{m.whole_ms / 1000:.1f} s",
                f"{m.measuring_ms / 1000:.1f} s" if m.measuring_ms else "-",
                m.remark,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _verdict(found: Mapping[float, Mapping[str, Moved]]) -> Sequence[str]:
    """Auto beside the best fixed way of each rate."""
    lines = [
        "Whole, without the measurement:",
        "",
        "| the guest writes | best fixed way | it took | auto | times (aim: 1.10) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rate, moved in found.items():
        best = min(FIXED, key=lambda way: moved[way].moving_ms or float("inf"))
        theirs, ours = moved[best].moving_ms or float("inf"), moved["auto"].moving_ms or float("inf")
        cells = [f"{rate:g} MiB/s", best, f"{theirs / 1000:.1f} s", f"{ours / 1000:.1f} s", f"{ours / theirs:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _draw(found: Mapping[float, Mapping[str, Moved]]) -> None:
    groups = [f"{rate:g} MiB/s" for rate in found]
    totals = {way: [_seconds(moved[way].total_ms) for moved in found.values()] for way in WAYS}
    gaps = {way: [moved[way].gap_ms / 1000 for moved in found.values()] for way in WAYS}
    panels = [
        bars(f"total time, s (open: ended after {LONGEST_S} s)", groups, totals, LONGEST_S),
        bars("longest time without a tick of the guest, s", groups, gaps, 0.0),
    ]
    PLOT.write_text(page(panels))


def _seconds(total_ms: float | None) -> float | None:
    return None if total_ms is None else total_ms / 1000
