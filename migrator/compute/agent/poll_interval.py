"""How long an agent waits before it looks again, which facts are news, and which are sent again. Pure."""

from dataclasses import dataclass

from migrator.protocol import POST_COPY_FAILED, Assignment, AttemptState, DomainState, Ensure, Fact, JobFact, Role

FAST_S = 0.2  # while a transfer or its watch is under way; each look costs libvirt, and the guest, some time
GLANCE_S = 0.02  # between two reads of our own migrate call, which cost nothing: its end must be seen at once
SLOWEST_S = {
    Ensure.SHUT_OFF: 0.5,
    Ensure.NOT_RUNNING: 0.5,
    Ensure.MEASURED: 0.1,  # the guest waits for nothing, but a client may
    Ensure.OFFERED: 1.0,  # until the checksums are known
    Ensure.LENT: 1.0,
    Ensure.DISKS_WHOLE: 1.0,
    Ensure.COPIED: 0.5,
    Ensure.ABSENT: 2.0,
    Ensure.SET_ASIDE: 2.0,
    Ensure.RUNNING: 2.0,
    Ensure.POWERED: 2.0,
    Ensure.PREPARED: 2.0,
}
SETTLED_S = 5.0
# An unchanged fact is sent again so often, under its old number: it is no news, unless the server has lost it.
REPEAT_S = 20.0
_FIRST_S = 0.1
_VAIN = 50  # fast looks at a guest that arrived, for its statistics


def in_flight(assignment: Assignment, fact: Fact) -> bool:
    """Whether something moves right now, so that every change must be seen within a moment."""
    if _broken_off(fact):
        return False
    if fact.job is not None and fact.job.active:
        return True
    if fact.attempt is not None and fact.attempt.state is AttemptState.RUNNING:
        return True
    return _awaited(assignment, fact)


def progresses(fact: Fact) -> bool:
    """Whether there is something to tell by the second, though nothing else changed. A repeated fact looks
    new to the server, which waits until two facts have stood side by side for long enough."""
    return fact.job is not None and fact.job.active and not _broken_off(fact)


def _broken_off(fact: Fact) -> bool:
    """A post-copy that failed keeps its job, in which nothing moves but the time."""
    domain = fact.domain
    return domain is not None and (domain.state, domain.reason) == (DomainState.PAUSED, POST_COPY_FAILED)


def _awaited(assignment: Assignment, fact: Fact) -> bool:
    """The destination's end of a transfer, until it runs and its measured downtime is known."""
    if assignment.ensure is not Ensure.OBSERVED or assignment.role is not Role.DESTINATION or fact.domain is None:
        return False
    if assignment.phase == "transfer":
        return fact.domain.state is not DomainState.RUNNING or not _measured(fact)
    return fact.domain.state is DomainState.RUNNING and not _measured(fact)


def _measured(fact: Fact) -> bool:
    return fact.job is not None and not fact.job.active and fact.job.downtime_ms is not None


def pause_s(assignment: Assignment, fact: Fact, unchanged: int) -> float:
    """Seconds until the next look. ``unchanged``: how many looks in a row saw the same."""
    if in_flight(assignment, fact) and not _in_vain(fact, unchanged):
        return FAST_S
    slowest = SLOWEST_S.get(assignment.ensure, SETTLED_S)
    return float(min(slowest, _FIRST_S * 2 ** min(unchanged, 10)))


def _in_vain(fact: Fact, unchanged: int) -> bool:
    """A guest that arrived long ago and whose statistics were never seen: they will not come any more."""
    arrived = fact.attempt is None and fact.domain is not None and fact.domain.state is DomainState.RUNNING
    return arrived and unchanged > _VAIN


def substance(fact: Fact) -> Fact:
    """What makes a fact news: all of it but its number and the progress of an active job."""
    job = JobFact(active=True) if fact.job is not None and fact.job.active else fact.job
    return fact.model_copy(update={"job": job, "sequence": 0})


@dataclass
class Reports:
    """What was sent of one operation. ``unchanged``: how many looks in a row saw the same."""

    unchanged: int = 0
    _fact: Fact | None = None
    _substance: Fact | None = None
    _at: float = 0.0

    def due(self, fact: Fact, now: float, progress_s: float) -> Fact | None:
        """What to send after this look, if anything: news, the progress of a transfer every ``progress_s``, or, now
        and then, what was sent last. ``now``: s, monotonic."""
        found = substance(fact)
        self.unchanged = self.unchanged + 1 if found == self._substance else 0
        if not self.unchanged or (progresses(fact) and now - self._at >= progress_s):
            self._fact, self._substance, self._at = fact, found, now
            return fact
        if now - self._at >= REPEAT_S:
            self._at = now
            return self._fact
        return None
