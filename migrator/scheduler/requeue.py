"""Operations that are to be looked at again at a time of their own, although no agent reports anything.

A hint, kept in this process's memory: what is lost with it the sweep finds. Owns when, and never what happens then.
"""

import heapq
import threading
import time
from collections.abc import Callable


class RequeueSchedule:
    """Safe to call from any thread. Of several times for one operation the newest counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def put(self, operation_id: int, after_s: float | None) -> None:
        """Look at the operation in ``after_s``; None: there is no such time any more."""
        with self._lock:
            if after_s is None:
                self._due.pop(operation_id, None)
                return
            at = self._clock() + after_s
            self._due[operation_id] = at
            heapq.heappush(self._heap, (at, operation_id))

    def take_due(self) -> list[int]:
        """Those whose time has come; each once."""
        found: list[int] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= self._clock():
                at, operation_id = heapq.heappop(self._heap)
                if self._due.get(operation_id) == at:
                    del self._due[operation_id]
                    found.append(operation_id)
        return found
