"""A fifo as a trap: it tells whether a reader opened it, and lets the reader go on."""

import contextlib
import os
import threading
from pathlib import Path


class Opened(threading.Thread):
    """``found``: a reader opened it, between ``start`` and ``end``."""

    def __init__(self, fifo: Path) -> None:
        super().__init__(daemon=True)
        self._fifo, self.end, self.found = fifo, threading.Event(), False

    def run(self) -> None:
        while not self.end.wait(0.05):
            with contextlib.suppress(OSError):  # no reader
                os.close(os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK))
                self.found = True
