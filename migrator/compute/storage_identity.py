"""Which storage lies behind each pool: the marker in it, and what this host remembers of it.

Two hosts that find the same marker share the storage, and neither deletes there what the other one needs. So a marker
is made once for a pool: where it is missing later, the storage is not mounted, and an empty directory in its place must
not pass for another storage. Never looks at an instance's files.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

from migrator.compute.files import publish, sync
from migrator.errors import StorageError

MARKER = ".migrator-storage-id"


class StorageAway(StorageError):
    """The storage that a pool is known by is not there now."""


class Identities:
    """The storage identities of one host (``pools``: name -> directory). ``kept``: the file that outlives the agent;
    None: remembered by this object only."""

    def __init__(self, pools: Mapping[str, Path], kept: Path | None = None) -> None:
        self._pools, self._kept = dict(pools), kept
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None

    def of(self, pool: str) -> str:
        """The pool's identity, read now; made where the pool is new. Raises StorageError;
        StorageAway for a pool whose storage is not the one that was there before."""
        with self._lock:
            known = self._load()
            if pool not in known:
                self._save(known | {pool: _made(self._pools[pool] / MARKER)})
        self.check(pool)
        return self._load()[pool]

    def check(self, pool: str) -> None:
        """Raises StorageAway unless the storage is there that was there before, if any was."""
        wanted, marker = self._load().get(pool), self._pools[pool] / MARKER
        if wanted is not None and (found := _read(marker)) != wanted:
            what = f"has given way to {found}" if found else "is not mounted"
            raise StorageAway(
                f"the storage {wanted} of the pool {pool} {what}: {marker}",
                advice=f"mount it; if another one is to take its place for good, remove {pool} from {self._kept}",
            )

    def _load(self) -> dict[str, str]:
        if self._known is None:
            try:
                text = self._kept.read_text() if self._kept is not None and self._kept.exists() else "{}"
                self._known = {str(name): str(UUID(identity)) for name, identity in json.loads(text).items()}
            except (OSError, ValueError, AttributeError) as error:
                raise StorageError(f"cannot read {self._kept}: {error}") from error
        return self._known

    def _save(self, known: dict[str, str]) -> None:
        if self._kept is not None:
            half = self._kept.with_name(self._kept.name + ".new")
            try:
                half.parent.mkdir(parents=True, exist_ok=True)
                half.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                sync(half)
                os.replace(half, self._kept)
                sync(half.parent)
            except OSError as error:
                raise StorageError(f"cannot write {self._kept}: {error}") from error
        self._known = known


def _made(marker: Path) -> str:
    """The identity in a marker, which is made where there is none."""
    if not marker.exists():
        publish(marker, lambda part: part.write_text(f"{uuid4()}\n"))
    found = _read(marker)
    if found is None:
        raise StorageError(f"the storage identity {marker} went away")
    return found


def _read(marker: Path) -> str | None:
    try:
        return str(UUID(marker.read_text().strip()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read the storage identity {marker}: {error}") from error
