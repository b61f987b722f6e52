"""Surveys the host and its peers, for checks of what can be moved where, and tells the server.

Owns what is looked at again and when, and how old each piece is when it is sent: no clock but this host's own monotonic
one counts for that. Changes nothing anywhere, and knows no operation. What could not be looked at is left out.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from migrator.compute.agent.client import ServerClient
from migrator.compute.agent.use_meter import UseMeter
from migrator.compute.driver import Driver
from migrator.errors import MigratorError, ServerUnreachable
from migrator.protocol import (
    CpuAnswer,
    GuestCpu,
    GuestDescription,
    GuestObservation,
    GuestUse,
    HostCpu,
    KeptDisks,
    Leftover,
    Peer,
    PeerProbe,
    Questions,
    Survey,
    Uptime,
    VolumeProbe,
    guest_cpu,
)

log = logging.getLogger("migrator.agent")

_GUESTS_S = 15.0  # between two looks at the same guests; new ones are looked at when they appear
_CPU_S = 60.0  # between two comparisons of the same CPU, and two looks at the host's own
_PEERS_S = 30.0  # between two connections to the same peer, unless the last one failed
_ROUND_S = 3.0  # after which no other peer is tried in the same round
_PEERS_A_SECOND = 2.0
_PEERS_AT_LEAST = 20  # in a round
_SOONER = 0.4
_KEPT_MAX = 2_000
_LEFTOVERS_MAX = 2_000
_VOLUMES_S = 60.0  # between two looks at the same volume, unless it was out of reach
_VOLUMES_AT_ONCE = 8  # in a round
_AGAIN_S = (1.0, 15.0)  # first and longest wait when the server, or the hypervisor, does not answer
_GRAIN_S = 0.002  # of the clocks that are compared

T = TypeVar("T")


@dataclass
class CachedObservation(Generic[T]):
    what: T
    at: float


@dataclass
class Surveyor:
    """One object is one agent's memory of what it saw. Not for two threads at once."""

    driver: Driver
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    uptime: Callable[[], Uptime | None] = lambda: None
    _guests: CachedObservation[Mapping[str, GuestDescription]] | None = None
    _cpu: CachedObservation[HostCpu] | None = None
    _runs: dict[str, CachedObservation[CpuAnswer]] = field(default_factory=dict)
    _peers: dict[str, CachedObservation[PeerProbe]] = field(default_factory=dict)
    _volumes: dict[str, CachedObservation[VolumeProbe]] = field(default_factory=dict)
    _round_at: float | None = None
    _meter: UseMeter = field(init=False)

    def __post_init__(self) -> None:
        self._meter = UseMeter(self.driver.use, self.clock)

    def survey(self, questions: Questions, offset_s: float, error_s: float) -> Survey:
        """Answer what can be answered. ``offset_s`` and ``error_s``: this host's clock before the database's. Within
        10 s or so. Raises DriverError when the hypervisor itself cannot be looked at."""
        guests = self._look_at_guests()
        given_mb = self.driver.memory_allocated_mb()
        self._look_at_cpus(questions.cpus)
        self._look_at_peers(questions.peers)
        self._look_at_volumes(questions.volumes)
        self._look_at_use()
        used = self._meter.guests()
        now = self.clock()
        cpus = {key: cpu for guest in guests.what.values() if (found := _cpu_of(guest)) for key, cpu in (found,)}
        return Survey(
            clock_offset_s=offset_s,
            clock_error_s=error_s,
            addresses=self.driver.addresses(),
            memory_allocated_mb=given_mb,
            cpu=self._cpu.what if self._cpu is not None else HostCpu(),
            guests={uuid: _sight(guest, now - guests.at, used.get(uuid)) for uuid, guest in guests.what.items()},
            cpus=cpus,
            runs={key: seen.what.model_copy(update={"age_s": now - seen.at}) for key, seen in self._runs.items()},
            volumes={s: seen.what.model_copy(update={"age_s": now - seen.at}) for s, seen in self._volumes.items()},
            kept=self._look_at_kept(),
            leftovers=self._look_at_leftovers(),
            uptime=self.uptime(),
            use=self._meter.host(),
            peers={name: seen.what.model_copy(update={"age_s": now - seen.at}) for name, seen in self._peers.items()},
        )

    def _look_at_guests(self) -> CachedObservation[Mapping[str, GuestDescription]]:
        now, old = self.clock(), self._guests
        known = {copy.uuid for copy in self.driver.list_copies(live=True)}
        if old is None or now - old.at >= _GUESTS_S or known != old.what.keys():
            self._guests = old = CachedObservation(self.driver.live_guests(), now)
        return old

    def _look_at_use(self) -> None:
        try:
            self._meter.sample()
        except MigratorError as error:
            log.debug("what is used cannot be read: %s", error)

    def _look_at_kept(self) -> tuple[KeptDisks, ...]:
        try:
            return tuple(self.driver.kept_disks())[:_KEPT_MAX]
        except MigratorError as error:
            log.debug("kept disks cannot be looked at: %s", error)
            return ()

    def _look_at_leftovers(self) -> tuple[Leftover, ...]:
        try:
            return tuple(sorted(self.driver.leftovers(), key=lambda one: -one.age_s)[:_LEFTOVERS_MAX])
        except MigratorError as error:
            log.debug("what nothing uses cannot be looked at: %s", error)
            return ()

    def _look_at_cpus(self, wanted: Mapping[str, GuestCpu]) -> None:
        if self._cpu is None or self.clock() - self._cpu.at >= _CPU_S:
            self._cpu = CachedObservation(self.driver.host_cpu(), self.clock())
        self._runs = {key: seen for key, seen in self._runs.items() if key in wanted}
        for key, cpu in wanted.items():
            if key in self._runs and self.clock() - self._runs[key].at < _CPU_S:
                continue
            at = self.clock()
            try:
                check = self.driver.check_cpu(cpu)
            except MigratorError as error:  # of an architecture that is none of ours: there is no answer to give
                log.debug("a CPU cannot be compared: %s", error)
                self._runs.pop(key, None)
                continue
            self._runs[key] = CachedObservation(CpuAnswer(ok=check.ok, message=check.found), at)

    def _look_at_peers(self, peers: Sequence[Peer]) -> None:
        """Those that failed and those that are due, the longest waiting first; no more than the round allows."""
        began = self.clock()
        passed_s = began - self._round_at if self._round_at is not None else 0.0
        self._round_at = began
        wanted = {peer.name: peer for peer in peers}
        self._peers = {
            name: seen for name, seen in self._peers.items() if name in wanted and seen.what.uri == wanted[name].uri
        }
        due = sorted((peer for peer in peers if self._due(peer, began)), key=lambda peer: self._order(peer.name))
        for peer in due[: max(_PEERS_AT_LEAST, int(passed_s * _PEERS_A_SECOND))]:
            if self.clock() - began >= _ROUND_S:
                return
            at = self.clock()
            message = self.driver.reach(peer.uri)
            self._peers[peer.name] = CachedObservation(
                PeerProbe(uri=peer.uri, ok=message is None, message=message or ""), at
            )

    def _look_at_volumes(self, sources: Sequence[str]) -> None:
        """Those that were out of reach and those that are due, the longest waiting first."""
        self._volumes = {source: seen for source, seen in self._volumes.items() if source in set(sources)}
        at, never = self.clock(), CachedObservation(VolumeProbe(), float("-inf"))
        waiting = {source: self._volumes.get(source, never) for source in sources}
        due = [s for s, seen in waiting.items() if seen.what.bytes is None or at - seen.at >= _VOLUMES_S]
        due = sorted(due, key=lambda source: waiting[source].at)[:_VOLUMES_AT_ONCE]
        for source, found in self.driver.volumes(due).items() if due else ():
            sight = VolumeProbe(message=found) if isinstance(found, str) else VolumeProbe(bytes=found)
            self._volumes[source] = CachedObservation(sight, at)

    def _due(self, peer: Peer, now: float) -> bool:
        seen = self._peers.get(peer.name)
        return seen is None or not seen.what.ok or now - seen.at >= _PEERS_S

    def _order(self, name: str) -> float:
        seen = self._peers.get(name)
        return seen.at if seen is not None else float("-inf")


def pause_s(survey: Survey, next_survey_s: float) -> float:
    """A peer that cannot be reached now may be in a moment, and keeps migrations away until it is seen to be."""
    return next_survey_s if all(reach.ok for reach in survey.peers.values()) else next_survey_s * _SOONER


def _cpu_of(guest: GuestDescription) -> tuple[str, GuestCpu] | None:
    if guest.cpu_xml is None:
        return None
    cpu = GuestCpu(xml=guest.cpu_xml, machine=guest.machine, arch=guest.arch)
    return guest_cpu.key(cpu.arch, cpu.machine, cpu.xml), cpu


def _sight(guest: GuestDescription, age_s: float, use: GuestUse | None) -> GuestObservation:
    cpu = _cpu_of(guest)
    return GuestObservation(
        cpu=cpu[0] if cpu is not None else None,
        machine=guest.machine,
        arch=guest.arch,
        devices=guest.devices,
        listens=guest.listens,
        age_s=age_s,
        use=use,
    )


async def run(
    surveyor: Surveyor,
    server: ServerClient,
    in_thread: Callable[[Callable[[], Survey]], Awaitable[Survey]],
    tags: Mapping[str, Any],
) -> None:
    """Ask, look and tell, for ever. A server or hypervisor that does not answer is tried again."""
    failures = 0
    # Before that, a survey is refused: of a host that is not registered, or has no name. Of thousands of
    # agents that start together, each waits for a moment of its own: their server has them to hear first.
    await server.answered.wait()
    await asyncio.sleep(random.uniform(0.0, server.survey_within_s))
    while True:
        try:
            began, wall = surveyor.clock(), surveyor.wall()
            questions = await server.questions()
            error_s = (surveyor.clock() - began) / 2
            offset_s = wall + error_s - questions.now
            survey = await in_thread(_looking(surveyor, questions, offset_s, error_s + _GRAIN_S))
            await server.put_survey(survey)
            failures, wait = 0, pause_s(survey, questions.next_survey_s)
        except Exception as error:  # nothing depends on it: what is not known is shown as such
            failures += 1
            first, longest = _AGAIN_S
            wait = min(longest, first * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.5)
            if isinstance(error, ServerUnreachable):
                wait = max(wait, error.retry_after_s * random.uniform(1.0, 1.5))
            known = isinstance(error, MigratorError)
            level = logging.DEBUG if known else logging.WARNING
            log.log(level, "survey failed: %s", error, exc_info=None if known else error, extra=dict(tags))
        await asyncio.sleep(wait)


def _looking(surveyor: Surveyor, questions: Questions, offset_s: float, error_s: float) -> Callable[[], Survey]:
    return lambda: surveyor.survey(questions, offset_s, error_s)
