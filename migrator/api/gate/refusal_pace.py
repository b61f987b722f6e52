"""How often one address, or one host's agent, was refused, and what the refusals that are too many
cost: a place in a bounded crowd that waits, and little work.

Owns the counts of this process. What is served never comes here.
"""

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

BURST = 100  # refusals that are answered at once
_PER_S = 5.0  # and so many more a second
_HELD_S = 5.0  # less than agents wait for an answer
_HELD_MOST = 2000
_KNOWN = 4096  # addresses and hosts that are told apart
_IPV6_PREFIX = 64  # what one customer of a network has


class RefusalPace:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what was left, and when
        self.held = 0

    def spent(self, who: str) -> bool:
        """Whether one more of this address would be one too many. Counts nothing."""
        left, since = self._left.get(network(who), (float(BURST), 0.0))
        return left + (self._clock() - since) * _PER_S < 1

    def note(self, who: str) -> None:
        """One more of this address, which was answered."""
        self._taken(network(who))

    async def too_many(self, who: str) -> bool:
        """One more of this address or host; True, after a while: it is one too many."""
        if self._taken(network(who)):
            return False
        if self.held < _HELD_MOST:
            self.held += 1
            try:
                await asyncio.sleep(_HELD_S)
            finally:
                self.held -= 1
        return True

    def _taken(self, network: str) -> bool:
        now = self._clock()
        left, since = self._left.pop(network, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * _PER_S)
        self._left[network] = (max(0.0, left - 1), now)
        if len(self._left) > _KNOWN:
            self._left.popitem(last=False)
        return left >= 1


def network(address: str) -> str:
    """What one customer of a network has counts as one address."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a host, or a socket without a name
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, _IPV6_PREFIX), strict=False))
    return str(known)
