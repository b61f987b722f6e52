"""Resident memory of the server and of an agent at rest."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from migrator.db.credentials import issue
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from tests.bench import server

REST_S = 8.0


def run() -> list[str]:
    with tempfile.TemporaryDirectory() as top:
        url = f"sqlite:///{Path(top) / 'bench.db'}"
        upgrade(url)
        db = Database(url)
        token = issue(db, "bench1")
        db.close()
        with server.running(url, Path(top) / "images") as (base, pid):
            agent = _agent(base, token, Path(top))
            try:
                time.sleep(REST_S)
                rows = {"server": server.resident_mib(pid), "agent (simulated driver)": server.resident_mib(agent.pid)}
            finally:
                agent.terminate()
                agent.wait(10)
    return ["| process | resident |", "| --- | --- |", *(f"| {k} | {v:.0f} MiB |" for k, v in rows.items())]


def _agent(base: str, token: str, top: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "MIGRATOR_SERVER_URL": base,
        "MIGRATOR_HOST": "bench1",
        "MIGRATOR_TOKEN": token,
        "MIGRATOR_STATE_PATH": str(top / "agent"),
        "MIGRATOR_SIMULATED": "true",
    }
    argv = [sys.executable, "-m", "migrator.cli.main", "agent"]
    return subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
