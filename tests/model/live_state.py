"""An abstract cluster in which a running guest is moved, built, stopped or deleted: ground truth and one operation.

A pair of hypervisors is reduced to a domain, a disk and a job. No SQL, no time: a delay is a step that has not been
taken yet.

Facts travel on an ordered line a host. The server keeps only newer ones, so taking the n-th loses those before it:
that is loss, reordering and duplication at once.
"""

from typing import Any, NamedTuple

from migrator.protocol import PAUSE_REASON_USER
from tests.model.server import Op, Order, VisitedState

HALF, WHOLE = "half", "whole"
LINE = 1  # facts under way from one host


class Host(NamedTuple):
    """Ground truth and agent of one host. ``begun`` and ``epochs`` are the journal: they survive a crash."""

    dom: str = "absent"
    reason: str | None = None
    stamp: tuple[int, int] | None = None  # operation, epoch
    disk: str = ""  # HALF while it is being copied hither, WHOLE
    kept: bool = False  # an arrived domain, persistent
    unsynced: tuple[int, int] | None = (
        None  # stamp of a definition that libvirt has forgotten, and a power cut brings back
    )
    libvirtd: bool = True
    silent: bool = False
    held: Order | None = None
    late: Order | None = None  # an older answer that may still arrive
    seen_operation: int = 0
    seen_generation: int = 0
    begun: frozenset[tuple[int, int]] = frozenset()
    epochs: tuple[tuple[int, int], ...] = ()  # operation -> highest epoch
    started: int | None = None  # epoch whose transfer this process called
    quiet: bool = False
    half: tuple[Order, bool, bool | None, bool] | None = None  # acted, and looked at the job only
    line: tuple[VisitedState, ...] = ()

    @property
    def user_paused(self) -> bool:
        """A user paused it."""
        return (self.dom, self.reason) == ("paused", PAUSE_REASON_USER)


class State(NamedTuple):
    op: Op
    hosts: tuple[Host, ...]
    facts: tuple[VisitedState | None, ...]  # what the server keeps, by host
    job: tuple[str, int, int] | None  # stage, source, destination
    home: int | None  # where the guest's only complete data is
    record: int | None  # what the database says
    claims: frozenset[int]
    delete_requested: bool
    deleted: bool
    faults: int


Step = tuple[str, State]


def on(state: State, host: int, **changes: Any) -> State:
    hosts = list(state.hosts)
    hosts[host] = hosts[host]._replace(**changes)
    return state._replace(hosts=tuple(hosts))
