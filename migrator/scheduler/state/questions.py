"""What agents are asked to look at when nothing is moved.

Owns how often they look, and that each row stands alone: one that cannot be read is left out of what others are asked.
In a large cluster what is the same for all hosts is read once for all that ask within a second: it says only where to
look, and nothing is decided by it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from migrator.db import surveys as rows
from migrator.db.clock import now
from migrator.db.engine import Connection, Database
from migrator.protocol import GuestCpu, Peer, Questions
from migrator.scheduler.state import entitlements
from migrator.scheduler.state.surveys import CPU_XML_MAX, FIRST_AT_ONCE, fields
from migrator.settings import ServerSettings
from migrator.untrusted import peer_address

log = logging.getLogger(__name__)

PEERS_MAX = 100  # that one host is asked to look at
_PEERS_KEPT = 4096
_CPUS_BYTES_MAX = 2**20  # that an answer carries, of 2 KiB as a rule
_AGAIN_S = 5.0  # between two surveys of one host, at the least
_SURVEYS_A_SECOND = 3.0  # of all hosts together
_KEPT_S = 1.0  # what is the same for all hosts, where there are more than ``FIRST_AT_ONCE``


@dataclass(frozen=True, slots=True)
class Common:
    """What is the same for all hosts. ``up``: how many hosts are; ``likely``: (name, URI) of the hosts to which
    instances are moved first."""

    hosts_up: int
    likely: Sequence[tuple[str, str | None]]
    cpus: Mapping[str, GuestCpu]


class SurveyQuestions:
    """One of a process. Safe to share between threads."""

    def __init__(self, db: Database, settings: ServerSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._down_after, self._clock = db, settings.service_down_time, clock
        self._kept: tuple[float, Common] | None = None

    def of(self, host: str) -> Questions:
        """What the host's agent should look at: the hosts that are up (in a large cluster those to which its instances
        would be moved), every CPU that a guest anywhere sees, and the volumes of its own instances and operations."""
        with self._db.read() as connection:
            common = self._common(connection)
            leaving = rows.destinations(connection, host, self._down_after)
            sources = entitlements.volume_sources(connection, host)
            moment = now(connection)
        others = [(name, uri) for name, uri in common.likely if name != host and (name, uri) not in leaving]
        chosen = sorted([*leaving, *others][:PEERS_MAX])
        return Questions(
            now=moment,
            next_survey_s=max(_AGAIN_S, common.hosts_up / _SURVEYS_A_SECOND),
            peers=tuple(peer for name, uri in chosen if (peer := _peer(name, uri)) is not None),
            cpus=dict(common.cpus),
            volumes=sources,
        )

    def _common(self, connection: Connection) -> Common:
        kept, at = self._kept, self._clock()
        if kept is not None and at - kept[0] < _KEPT_S:
            return kept[1]
        up = rows.count_up(connection, self._down_after)
        likely = rows.likely(connection, self._down_after, PEERS_MAX + 1)  # one of them may be the host that asks
        found = Common(up, likely, _asked(rows.cpus(connection)))
        self._kept = (at, found) if up > FIRST_AT_ONCE else None
        return found


@lru_cache(_PEERS_KEPT)
def _peer(name: str, uri: str | None) -> Peer | None:
    """None where other hosts may not open it. One that says such a thing is described as unreadable where hosts are
    shown. Kept, for every host is asked about much the same ones."""
    try:
        return Peer(name=name, uri=uri) if uri and peer_address.checked_uri(uri) else None
    except ValueError:
        return None


def _asked(cpus: Mapping[str, Any]) -> dict[str, GuestCpu]:
    """As many of them, in their order, as every agent can be sent each time it asks."""
    found, size = {}, 0
    for key, body in cpus.items():
        cpu = _cpu(key, body)
        if cpu is None or len(cpu.xml) > CPU_XML_MAX:
            continue
        size += len(cpu.xml)
        if size > _CPUS_BYTES_MAX:
            break
        found[key] = cpu
    return found


def _cpu(key: str, body: Any) -> GuestCpu | None:
    try:
        return GuestCpu.model_validate(body)
    except ValidationError as error:
        log.warning("CPU %s of a guest cannot be read, so no host is asked about it: %s", key, fields(error))
        return None
