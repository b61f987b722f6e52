"""One live transfer: a call that lasts, in a thread of its own.

Owns whether it still lasts and how it ended. What the call is, the driver says.
"""

import threading
from collections.abc import Callable

from migrator.errors import DriverError


class Transfer(threading.Thread):
    """``move`` returns when the transfer is over, or raises DriverError. A daemon: the hypervisor owns the transfer and
    goes on without us."""

    def __init__(self, uuid: str, move: Callable[[], None]) -> None:
        super().__init__(name=f"transfer-{uuid}", daemon=True)
        self._move: Callable[[], None] | None = move
        self.error: str | None = None
        self.running = True

    def run(self) -> None:
        assert self._move is not None
        try:
            self._move()
        except DriverError as error:
            self.error = error.message
        finally:
            self._move = None  # with the domain's XML, which is not needed any more
            self.running = False
