"""A seed is one run: in another process, with sets in another order and at another time of day, the same happens."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.conftest import MakeWorld

REPOSITORY = Path(__file__).parents[2]
SEEDS = range(7200, 7210)


def written(template: Path, folder: Path, hash_seed: str) -> dict[int, list[str]]:
    """Seed -> its history, of a process that puts its sets in the order of ``hash_seed``."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.world.replay", str(template), str(folder), *map(str, SEEDS)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": hash_seed}
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True, timeout=300)
    return {seed: (folder / str(seed)).read_text().splitlines() for seed in SEEDS}


def test_a_seed_is_one_history_whatever_process_runs_it(sqlite_template: Path, tmp_path: Path) -> None:
    once = written(sqlite_template, tmp_path / "once", "1")
    again = written(sqlite_template, tmp_path / "again", "2")
    for seed in SEEDS:
        assert len(once[seed]) > 50
        assert once[seed] == again[seed], f"seed {seed}"


def test_no_file_of_a_world_is_open_to_other_users(make_world: MakeWorld, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "migrator.files"):
        make_world().tick()
    assert caplog.messages == []
