"""An agent that was broken into: it says the worst it can, all the time, and has heard all that the others say.

Owns the lies. They are messages that the protocol allows, made from true ones of other hosts: one who listens on the
network, or reads a backup of the database, could send them. Never touches the simulated hypervisors: what it does to
its own guests is its own affair.
"""

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

from migrator.db import hosts
from migrator.errors import MigratorError
from migrator.protocol import (
    AttemptFact,
    DomainEntry,
    DomainFact,
    DomainState,
    Fact,
    Facts,
    HostReport,
    Message,
    Poll,
    Problem,
)
from migrator.protocol.facts import AttemptState
from tests.world.world import World

LIAR = "n3"
_KEPT = 200  # messages that it remembers of each kind
_AT_ONCE = 12
_MANY, _LATER = 150, 0.1
T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Liar:
    """What is said in the name of ``LIAR``, by chance."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._facts: list[Fact] = []
        self._copies: list[DomainEntry] = []
        self._reports: list[HostReport] = []
        self.told = 0

    def talks(self) -> bool:
        """At every occasion; after a while at some, for a world that waits has very many."""
        return self.told < _MANY or self._rng.random() < _LATER

    def overhear(self, message: Facts | Poll | HostReport) -> None:
        if isinstance(message, Facts):
            self._facts = [*self._facts, *message.facts][-_KEPT:]
        elif isinstance(message, Poll):
            self._copies = [*self._copies, *(message.copies or ())][-_KEPT:]
        else:
            self._reports = [*self._reports, message][-_KEPT:]

    def report(self) -> HostReport | None:
        """Another host's description with its address and its storage, and more room than there is."""
        if not self._reports:
            return None
        stolen = self._rng.choice(self._reports)
        lies: dict[str, Any] = {
            "vcpus": self._rng.choice((0, 1, 2**31 - 1)),
            "memory_mb": self._rng.choice((0, 2**31 - 1)),
            "cpu_allocation_ratio": self._rng.choice((0.001, 1000.0)),
            "self_fencing_lease_s": self._rng.choice((0.0, 1.0, 1e10)),
            "foreign_memory_mb": self._rng.choice((0, 2**31 - 1)),
            "impaired": self._rng.choice(("", "everything is fine")),
        }
        return stolen.model_copy(update={name: lies[name] for name in lies if self._rng.random() < 0.5})

    def copies(self) -> tuple[DomainEntry, ...]:
        """Of instances that it never had, with other hosts' stamps, or with stamps of its own making."""
        found = {}
        for copy in self._some(self._copies):
            forged: dict[str, Any] = {
                "state": self._rng.choice(list(DomainState)),
                "served": self._rng.choice((0, copy.served, copy.served + 1, 2**62)),
                "stamp_epoch": self._rng.choice((copy.stamp_epoch, 1, 2**62)),
                "seal": self._rng.choice((copy.seal, "", "v1:" + "0" * 64 + f":{LIAR}")),
            }
            found[copy.uuid] = copy.model_copy(update=forged)
        return tuple(found.values())

    def facts(self, incarnation: int) -> tuple[Fact, ...]:
        """Of operations that it has no part in: newer than all that was said, and the opposite of it."""
        return tuple(self._lie(fact, incarnation) for fact in self._some(self._facts))

    def _lie(self, fact: Fact, incarnation: int) -> Fact:
        rng = self._rng
        domain = fact.domain or DomainFact(state=DomainState.ABSENT)
        forged: dict[str, Any] = {
            "incarnation": rng.choice((fact.incarnation, incarnation, 2**40)),
            "sequence": rng.choice((fact.sequence + 1, 2**48)),
            "epoch": rng.choice((fact.epoch, fact.epoch, fact.epoch + 1)),
            "domain": domain.model_copy(
                update={"state": rng.choice(list(DomainState)), "persistent": rng.random() < 0.5}
            ),
            "attempt": rng.choice((None, fact.attempt, AttemptFact(state=AttemptState.ENDED))),
            "problem": rng.choice((None, None, Problem(code="storage_error", message="lost", final=True))),
            "served": rng.choice((None, None, 2**62)),
            "disks": tuple(disk.model_copy(update={"exists": rng.random() < 0.5}) for disk in fact.disks),
        }
        return fact.model_copy(update=forged)

    def _some(self, of: list[T]) -> list[T]:
        """Most of the newest."""
        newest = of[-2 * _AT_ONCE :]
        return self._rng.sample(newest, min(len(newest), _AT_ONCE))


class HostileWorld(World):
    """A world whose ``LIAR`` lies before each word of its own agent, and in between. No operation is sent there."""

    def __init__(self, url: str, *, lies: int, **more: Any) -> None:
        self.liar = Liar(lies)
        self._poll: Poll | None = None
        super().__init__(url, **more)

    def register(self, host: str, incarnation: int, report: HostReport, machine: str) -> None:
        if host != LIAR:
            self.liar.overhear(report)
        super().register(host, incarnation, report, machine)
        if host == LIAR and not self.faults.armed:
            with self.db.write() as connection:
                hosts.change(connection, LIAR, {"disabled": True})

    def poll(self, host: str, poll: Poll) -> Any:
        if host == LIAR:
            self._poll = poll
            self._lie()
        else:
            self.liar.overhear(poll)
        return super().poll(host, poll)

    def facts(self, host: str, facts: Facts) -> None:
        super().facts(host, facts)
        if host != LIAR:
            self.liar.overhear(facts)
            self._lie()

    def _lie(self) -> None:
        """At once, before the server has acted upon the truth."""
        if self._poll is None or self.away or LIAR in self.dead or not self.liar.talks():
            return
        own, report, facts = self._poll, self.liar.report(), self.liar.facts(self._poll.incarnation)
        if report is not None:
            self._say(lambda: self.server.register(LIAR, own.incarnation, _sent(report), own.machine))
        # Without a number, as of an earlier release: its own agent's next word is not taken for an older one.
        lies = {"copies": self.liar.copies(), "number": 0}
        self._say(lambda: self.server.poll(LIAR, _sent(own.model_copy(update=lies))))
        self._say(lambda: self.server.facts(LIAR, _sent(Facts(facts=facts, machine=own.machine))))

    def _say(self, lie: Callable[[], Any]) -> None:
        """Over HTTP a refusal is an answer; whatever else is raised is a defect of the server."""
        self.liar.told += 1
        with suppress(MigratorError):
            lie()


def _sent(message: M) -> M:
    """As it arrives. Raises ValidationError, which the API answers with 400."""
    return type(message).model_validate_json(message.model_dump_json())
