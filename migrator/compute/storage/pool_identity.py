"""Which storage lies behind each pool: the marker in it, and what this host remembers of it.

Two hosts that find the same marker share the storage, and neither deletes there what the other one needs. So a marker
is made once for a pool: where it is missing later, the storage is not mounted, and an empty directory in its place must
not pass for another storage. Never looks at an instance's files.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

from migrator.compute.storage.atomic_files import publish
from migrator.errors import StorageError
from migrator.private_files import PASSAGE, make_folder, sync, write_text

log = logging.getLogger("migrator.agent")

MARKER = ".migrator-storage-id"
_MARKER_MODE = 0o644  # no secret, and of another host's user where hosts differ in that
PROOFS = ".migrator-proofs"  # folder a host, with an empty file for each proof
PROOF_S = 300.0  # the host's own proof is written anew after so long
_KEPT = 500  # of a host's proofs; a move may wait for long before its destination looks
_PROOF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}/[0-9a-f-]{36}")


class StorageAway(StorageError):
    """The storage that a pool is known by is not there now."""


class Identities:
    """The storage identities of one host (``pools``: name -> directory). ``kept``: the file that outlives the agent;
    None: remembered by this object only."""

    def __init__(self, pools: Mapping[str, Path], kept: Path | None = None, host: str = "host") -> None:
        """``host``: the name under which proofs are written."""
        self._pools, self._kept, self._host = dict(pools), kept, host
        self._newest: dict[str, tuple[str, float]] = {}  # pool -> the host's own proof, and when it was written
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

    def last_proof(self, pool: str) -> str:
        """The host's own proof in the pool, not older than ``PROOF_S`` unless the pool cannot be written."""
        made, at = self._newest.get(pool, ("", 0.0))
        if not made or time.monotonic() - at >= PROOF_S:
            try:
                made = self.prove(pool)
                self._newest[pool] = made, time.monotonic()
            except StorageError as error:  # a full pool is described all the same
                log.warning("%s", error)
        return made

    def prove(self, pool: str) -> str:
        """Write something new that another host finds if it has the same storage: a name that no cache knows. Raises
        StorageError."""
        self.check(pool)
        made = f"{self._host}/{uuid4()}"
        path = self._pools[pool] / PROOFS / made
        try:
            make_folder(path.parent, PASSAGE)
            path.touch(exist_ok=False)
            sync(path)
            sync(path.parent)
            _prune(path.parent)
        except OSError as error:
            raise StorageError(f"cannot write a proof into the pool {pool}: {error}") from error
        return made

    def proven(self, pool: str, proof: str) -> bool:
        """Whether another host's proof is found here."""
        if not _PROOF.fullmatch(proof) or pool not in self._pools:
            return False
        return (self._pools[pool] / PROOFS / proof).exists()

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
                make_folder(half.parent, PASSAGE)
                write_text(half, json.dumps(known, indent=1, sort_keys=True) + "\n")
                sync(half)
                os.replace(half, self._kept)
                sync(half.parent)
            except OSError as error:
                raise StorageError(f"cannot write {self._kept}: {error}") from error
        self._known = known


def _made(marker: Path) -> str:
    """The identity in a marker, which is made where there is none."""
    if not marker.exists():
        publish(marker, lambda part: part.write_text(f"{uuid4()}\n"), mode=_MARKER_MODE)
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


def _prune(folder: Path) -> None:
    """Only the newest of this host's proofs are kept."""
    found = sorted(os.scandir(folder), key=lambda entry: entry.stat().st_mtime)
    for entry in found[:-_KEPT]:
        os.unlink(entry.path)
