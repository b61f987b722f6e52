"""A server's and an agent's real processes under an open umask: nothing that they write is another user's to read."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.test_lease_process import LEASE_S, Site


@pytest.fixture(params=[0o022, 0o000])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    before = os.umask(request.param)
    try:
        made = Site(tmp_path)
        yield made
        made.http.close()
        made.db.close()
    finally:
        os.umask(before)


def test_nothing_that_server_and_agent_write_can_be_read_by_others(site: Site) -> None:
    kept = site.directory / "images"
    kept.mkdir(mode=0o777)
    with site.server():
        site.until(site.listening, 30)
        image = site.image()
        with site.agent():
            site.until(lambda: site.lease() == LEASE_S, 30)
            seen = modes(site.directory)
    names = {path.name for path in seen}
    assert names >= {"migrator.db", "migrator.db-wal", "migrator.db-shm", "images", image, "state", "journal", "lease"}
    assert {f"{path} {mode:o}" for path, mode in seen.items() if mode & 0o066} == set()
    assert "open to other users" in (site.directory / "server.log").read_text()


def modes(directory: Path) -> dict[Path, int]:
    """Of all but what the test itself writes."""
    found = {}
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # half made, and renamed since
            found[path] = stat.S_IMODE(path.stat().st_mode)
    return {path: mode for path, mode in found.items() if path.name not in ("server.log", "agent.log", "watchdog")}
