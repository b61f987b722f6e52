"""Whether the identity service is silent: it took a question and gave no answer in its time.

Owns who may still ask it then: one question in a while, which finds out that it is back. Pure but for the clock.
"""

import logging
from collections.abc import Callable

PROBE_S = 1.0  # between two questions to a service that is silent
log = logging.getLogger(__name__)


class Silence:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answered_at = float("-inf")
        self.silent = False
        self._next = 0.0

    def may_ask(self) -> bool:
        """Whether one more question may be asked now."""
        if not self.silent:
            return True
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + PROBE_S
        return True

    def answered(self) -> None:
        self._answered_at = self._clock()
        if self.silent:
            self.silent = False
            log.warning("Keystone answers again")

    def unanswered(self, asked_at: float) -> None:
        """A question of that time has no answer; another that came later may have one."""
        if self.silent or self._answered_at > asked_at:
            return
        self.silent, self._next = True, self._clock() + PROBE_S
        log.error(
            "Keystone gives no answer: until it does, tokens that are not remembered are refused at once (503), and it "
            "is asked about one of them each %g s",
            PROBE_S,
        )
