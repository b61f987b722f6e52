"""How long the scheduler takes to choose among 10,000 hosts and to claim, in one transaction with the phase."""

import statistics
import time

from migrator.db.engine import Database
from migrator.scheduler.reconciler import Reconciler
from migrator.scheduler.requests import build, requests
from migrator.settings import ServerSettings
from tests.bench import databases

HOSTS = 10_000
RUNS = 50


def run() -> list[str]:
    lines = ["| database | hosts | median | p99 |", "| --- | --- | --- | --- |"]
    with databases.both() as urls:
        for name, url in urls.items():
            db = Database(url)
            databases.add_hosts(db, HOSTS)
            took = sorted(_once(db, url) for _ in range(RUNS))
            median, worst = statistics.median(took), took[int(RUNS * 0.99) - 1]
            lines.append(f"| {name} | {HOSTS} | {median:.1f} ms | {worst:.1f} ms |")
            db.close()
    return lines


def _once(db: Database, url: str) -> float:
    """Milliseconds of the reconciler's pass over a new build: load, decide, choose, claim, commit, load, decide."""
    caller = requests.Caller("admin", "admin", "req-bench")
    _, operation = build.create_instance(db, caller, build.NewInstance("vm", databases.FLAVOR, None))
    reconciler = Reconciler(db, ServerSettings(database=url), lambda _hosts: None)
    begin = time.perf_counter()
    reconciler.reconcile(operation)
    return (time.perf_counter() - begin) * 1000
