"""A PostgreSQL server of the tests' own, from the Debian package, on a free loopback port, gone when they end."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port


def binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if not found:
        raise RuntimeError("PostgreSQL's server is missing: run script/bootstrap (Debian package postgresql)")
    return found[-1].parent


def _memory() -> Path | None:
    """A directory in memory, if there is one with room: each test's database is a copy of 7 MB, thousands in a run,
    which a slow disk takes longer to write than the tests take."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() and shutil.disk_usage(shm).free > 2 << 30 else None


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Yields the URL of an empty server; databases are made below it by the fixtures."""
    bin_dir, port = binaries(), free_port()
    top = Path(tempfile.mkdtemp(prefix="migrator-pg-", dir=_memory()))
    owner = None
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(top, "postgres", "postgres")
        owner = "postgres"
    data = top / "data"

    def run(*argv: str | Path) -> None:
        silent = subprocess.DEVNULL
        subprocess.run(argv, check=True, cwd=top, stdout=silent, stderr=silent, user=owner, group=owner)

    run(bin_dir / "initdb", "-D", data, "-U", "migrator", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={top} -c fsync=off"
    run(bin_dir / "pg_ctl", "-D", data, "-w", "-o", options, "-l", top / "log", "start")
    try:
        yield f"postgresql://migrator@127.0.0.1:{port}/postgres"
    finally:
        run(bin_dir / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(top, ignore_errors=True)
