"""How many bytes of agents' large messages are in memory at once: of one host, and of all together.

Owns the counts of this process. How large one message may be is not decided here.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator

from migrator.errors import ServerBusy, TooManyRequests

SMALL_BYTES = 256 * 1024  # not counted: how many such bodies a host has at once is bounded by ``admission.py``
HOST_BYTES = 16 * 1024**2
TOTAL_BYTES = 256 * 1024**2
_AGAIN_S = 5.0


class BodyBudget:
    def __init__(self, total: int = TOTAL_BYTES, of_host: int = HOST_BYTES) -> None:
        self._total, self._of_host = total, of_host
        self.taken: Counter[str] = Counter()  # host -> bytes

    @contextlib.contextmanager
    def room(self, host: str, size: int) -> Iterator[None]:
        """For a message of so many bytes at most, while it arrives and is worked on. Raises TooManyRequests and
        ServerBusy."""
        if self.taken[host] + size > self._of_host:
            message = f"{host}: more than {self._of_host} bytes of its agent's messages arrive or are worked on."
            raise TooManyRequests(message, retry_after_s=_AGAIN_S)
        if self.taken.total() + size > self._total:
            raise ServerBusy("Very many large messages arrive at once: send it again later.", retry_after_s=_AGAIN_S)
        self.taken[host] += size
        try:
            yield
        finally:
            self.taken[host] -= size
            if not self.taken[host]:
                del self.taken[host]
