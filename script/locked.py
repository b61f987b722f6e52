"""Prints those lines of a lock file that a project needs: itself, and what its libraries need in turn.

    script/locked.py requirements.lock PROJECT/pyproject.toml [EXTRA]

Asks the environment that it runs in what each library needs; every version and hash is the lock's.
"""

import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name


def blocks(lock: str) -> dict[NormalizedName, str]:
    """Name -> its lines of the lock, hashes included."""
    found: dict[NormalizedName, str] = {}
    for block in lock.replace("\\\n", "\0").splitlines():
        if "==" in block:
            found[canonicalize_name(block.split("==")[0])] = block.replace("\0", "\\\n")
    return found


def needed(project: Path, extra: str) -> set[NormalizedName]:
    declared = tomllib.loads(project.read_text())["project"]
    waiting = [(Requirement(line), "") for line in declared["dependencies"]]
    waiting += [(Requirement(line), "") for line in declared.get("optional-dependencies", {}).get(extra, [])]
    seen: set[tuple[NormalizedName, str]] = set()
    while waiting:
        requirement, of = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of}):
            continue
        for wanted in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), wanted)) not in seen:
                seen.add(key)
                waiting += [(Requirement(line), wanted) for line in requires(requirement.name) or []]
    return {name for name, _ in seen}


def main() -> int:
    lock, project, extra = Path(sys.argv[1]), Path(sys.argv[2]), "".join(sys.argv[3:])
    known = blocks(lock.read_text())
    if missing := needed(project, extra) - set(known):
        print(f"{lock} lacks {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    print("\n".join(known[name] for name in sorted(needed(project, extra))))
    return 0


sys.exit(main())
