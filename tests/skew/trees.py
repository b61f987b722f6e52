"""The earlier tree of this repository, out of git's history: what hosts and servers run that are upgraded later.

Owns which commit that is. Needs the whole history, and no network.
"""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PROTOCOL = "migrator/protocol"
_NUMBER = "^PROTOCOL = "
_ADVICE = "the tests of version skew build earlier releases: let them run in a clone with its whole history"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}; {_ADVICE} (git clone, without --depth)")
    return done.stdout.strip()


def earlier_commit() -> str:
    """The last one with another number of the protocol than this tree."""
    if _git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip(f"this clone is shallow: run `git fetch --unshallow`; {_ADVICE}")
    changed = _git("log", "-1", "--format=%H", f"-G{_NUMBER}", "--", _PROTOCOL)
    if not changed or _git("diff", "--name-only", f"-G{_NUMBER}", "HEAD", "--", _PROTOCOL):
        return _git("rev-parse", "HEAD")  # the number of this tree is not committed yet
    return _git("rev-parse", f"{changed}^")


def unpacked(commit: str, directory: Path) -> Path:
    """The tree of that commit, as far as server and agents need it."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "migrator", "alembic", "pyproject.toml"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(directory, filter="data")
    return directory
