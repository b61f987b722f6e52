"""The storage pools of one host: directories, which storage each of them is, and how much room is there.

Nothing is read or written in a pool whose storage is not mounted (``pool_identity``). Owns each instance's directory
in a pool; knows no file in it.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

from migrator.compute.storage.atomic_files import free_bytes
from migrator.compute.storage.pool_identity import Identities, StorageAway
from migrator.errors import StorageError
from migrator.protocol import StoragePool

GIB = 1024**3


class Pools:
    """``pools``: name -> directory; ``kept``: see ``Identities``."""

    def __init__(self, pools: Mapping[str, Path], kept: Path | None = None, host: str = "host") -> None:
        self._pools = dict(pools)
        self._identities = Identities(pools, kept, host)

    def directory(self, uuid: str, pool: str) -> Path:
        """The instance's directory in a pool. Raises StorageError for a pool this host does not have, or whose storage
        is not mounted."""
        return self._pool(pool) / str(UUID(uuid))

    def all_homes(self, uuid: str) -> list[Path]:
        """The instance's directory in every pool, whether it is there or not."""
        return [directory / str(UUID(uuid)) for directory in self._pools.values()]

    def pool_reports(self) -> dict[str, StoragePool]:
        """Identity and space (GiB) of every pool."""
        return {name: self._pool_report(name) for name in self._pools}

    def identities(self) -> dict[str, str]:
        """Pool name -> storage identity; pools with equal ones, on whatever host, are the same storage. Those that are
        not mounted now are left out."""
        found = {}
        for name in self._pools:
            with contextlib.suppress(StorageAway):
                found[name] = self._identities.of(name)
        return found

    def prove(self, pools: Sequence[str]) -> dict[str, str]:
        """Something new in each of these pools, for another host to find there. Raises StorageError."""
        for name in pools:
            self._pool(name)
        return {name: self._identities.prove(name) for name in pools}

    def compare_storage(
        self, storage: Mapping[str, str], proofs: Mapping[str, str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """See ``StorageDriver``."""
        own = self.identities()
        same = {name for name, identity in storage.items() if own.get(name) == identity}
        found = frozenset(name for name in same if self._identities.proven(name, proofs.get(name, "")))
        return found, frozenset(same - found)

    def present(self) -> dict[str, Path]:
        """Pool name -> directory, of every pool whose storage is there now."""
        return {name: self._pools[name] for name in self.identities()}

    def free_bytes(self) -> dict[str, int]:
        return {name: free_bytes(self._pool(name)) for name in self.identities()}

    def _pool(self, name: str) -> Path:
        if name not in self._pools:
            known = ", ".join(sorted(self._pools))
            raise StorageError(
                f"this host has no storage pool {name} (it has: {known})",
                advice="name the same pools in every agent's setting storage",
            )
        self._identities.check(name)
        return self._pools[name]

    def _pool_report(self, name: str) -> StoragePool:
        identity, pool = self._identities.of(name), self._pool(name)
        usage = os.statvfs(pool)
        total, free = (count * usage.f_frsize // GIB for count in (usage.f_blocks, usage.f_bavail))
        return StoragePool(
            identity=identity, path=str(pool), total_gb=total, free_gb=free, proof=self._identities.last_proof(name)
        )
