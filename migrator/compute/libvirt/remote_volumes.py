"""What another host offers, read through its libvirt.

Owns one connection to that host and what its silence means: a copy that waits for files fails soon. See
``disk_copy.Reader`` for what the methods promise, and ``LibvirtDriver.offer`` for the other end.
"""

from collections.abc import Callable

from migrator.compute.libvirt.bindings import connections, pools
from migrator.errors import HypervisorUnavailable, StorageError

KEEPALIVE = (2, 2)
OPEN_TIMEOUT_S = 5.0


class OfferedFiles:
    """Opened when it is made. Raises HypervisorUnavailable."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection = connections.connect(uri, keepalive=KEEPALIVE, open_timeout_s=OPEN_TIMEOUT_S)
        self._connection.open()

    def size(self, path: str) -> int:
        size = self._connection.call(lambda connection: pools.file_size(connection, path))
        return self._given(size, path)

    def read(self, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> None:
        end = self._connection.call(lambda connection: pools.download(connection, path, offset, length, sink))
        if self._given(end, path) != offset + length:
            raise StorageError(f"{path} on {self._uri} ended at {end}, not at {offset + length}")

    def close(self) -> None:
        self._connection.close()

    def _given(self, value: int | None, path: str) -> int:
        if value is None:
            raise HypervisorUnavailable(
                f"{self._uri} does not offer {path}", advice="see whether the source's agent runs"
            )
        return value
