"""Runs tempest against migrator: `python -m tests.tempest.run [REGEX]`, as `script/tempest` does."""

import argparse
import configparser
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.tempest import cloud, configuration, exclusions

ROOT = Path(__file__).parents[2]
TEMPEST = ROOT / ".tempest/bin/tempest"
WORKERS = 4  # most of what a test does is to wait


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it. ``log``: what tempest said; ``idle``: expressions that leave nothing out."""

    code: int
    log: str
    idle: list[str]


def run(directory: Path, tests: str = "") -> Run:
    """Those whose names ``tests``, an expression, matches: all by default. ``directory`` has all logs afterwards."""
    assert TEMPEST.exists(), "tempest is not installed: `script/bootstrap tempest` does it"
    workspace, log = directory / "workspace", directory / "tempest.out"
    environment = {**os.environ, "HOME": str(directory)}
    with cloud.started(_made(directory / "cloud")) as running:
        subprocess.run([TEMPEST, "init", workspace], env=environment, check=True, capture_output=True)
        configuration.write(workspace / "etc/tempest.conf", running)
        _discover_ours(workspace / ".stestr.conf")
        excluded = exclusions.read(exclusions.PAGE.read_text())
        exclusions.write(workspace / "excluded", excluded)
        chosen = ["--regex", f"{exclusions.ALL}.*({tests})"]
        known = () if tests else _names(workspace, environment, *chosen)
        arguments = ["run", *chosen, "--exclude-list", "excluded", "--concurrency", str(WORKERS)]
        code = _run_alone(arguments, workspace, environment, log)
    return Run(code, log.read_text(), exclusions.idle(excluded, known) if known else [])


def _names(workspace: Path, environment: Mapping[str, str], *chosen: str) -> list[str]:
    command = [str(TEMPEST), "run", "--list-tests", *chosen]
    done = subprocess.run(command, cwd=workspace, env=environment, check=True, capture_output=True, text=True)
    return str(done.stdout).splitlines()


def _discover_ours(settings: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(settings)
    ours = str(Path(__file__).with_name("discovered"))
    parser["DEFAULT"].update({"test_path": ours, "top_dir": ours})
    with settings.open("w") as file:
        parser.write(file)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _run_alone(arguments: list[str], workspace: Path, environment: Mapping[str, str], log: Path) -> int:
    """In a session of its own: who is interrupted leaves none of its workers behind."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [TEMPEST, *arguments], cwd=workspace, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/tempest", description="Run tempest's tests of the Compute API.")
    parser.add_argument("tests", nargs="?", default="", help="an expression that the names of tests match")
    directory = Path(tempfile.mkdtemp(prefix="migrator-tempest-"))
    print(f"logs are in {directory}; what tempest says, in tempest.out", file=sys.stderr)
    done = run(directory, parser.parse_args().tests)
    print(done.log)
    for tests in done.idle:
        print(f"docs/tempest.md: no test is left out by `{tests}`")
    failed = done.code != 0 or bool(done.idle)
    if not failed:
        shutil.rmtree(directory)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
