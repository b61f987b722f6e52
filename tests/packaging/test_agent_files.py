"""The hosts' package has every module that the agent and the settings import."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
STARTED = "import migrator.settings, migrator.cli.main, migrator.compute.agent.main"


def test_what_is_in_the_hosts_package_is_enough_to_start_the_agent(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "packaging/agent/pyproject.toml").read_text())
    for source, place in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        there = (ROOT / "packaging/agent" / source).resolve()
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(there, tmp_path / place) if there.is_dir() else shutil.copy(there, tmp_path / place)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {STARTED}; print(migrator.settings.__file__)"
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 20)
    assert (done.returncode, done.stdout.startswith(str(tmp_path))) == (0, True), done.stderr


def test_a_host_asks_for_the_same_libraries_as_the_whole_package() -> None:
    whole, part = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"] for folder in (".", "packaging/agent")
    )
    extras = whole["optional-dependencies"]["libvirt"]
    assert set(part["dependencies"]) <= {*whole["dependencies"], *extras}
    assert (part["version"], part["requires-python"]) == (whole["version"], whole["requires-python"])
