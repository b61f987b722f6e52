"""An abstract cluster in which an instance that does not run is moved: cold, resized, evacuated, or only suspended.

Ground truth and one operation as one hashable value. What a disk holds is a number: it grows whenever a guest begins to
write to it, so equal numbers are equal data and a higher one has all that a lower one had. A saved memory has the
number of the disk that it belongs to. No SQL, no time: a delay is a step that has not been taken yet.
"""

from typing import Any, NamedTuple

from tests.model.server import Op, Order, View, VisitedState

PARTIAL = -1  # copied while its source was written to
REBUILT = -2  # made anew from its image


class Store(NamedTuple):
    """An instance's directory in a pool: of one host, or shared by all."""

    disk: int | None = None
    memory: int | None = None
    aside: int | None = None  # a disk that was kept when its host returned


class Host(NamedTuple):
    """Ground truth and agent of one host. ``epoch`` is the journal: it survives a crash."""

    dom: str = "absent"  # absent, shut_off, running
    flavor: str = ""  # that the domain is defined with
    store: Store = Store()
    offered: bool = False
    power: bool = True
    libvirtd: bool = True
    silent: bool = False
    declared: bool = False  # an operator vouches for it that nothing runs there
    held: Order | None = None
    late: Order | None = None  # an older answer that may still arrive
    seen_generation: int = 0
    epoch: int = 0  # the highest one it knows
    copying: tuple[int, Store] | None = None  # epoch of this process's copy, and what the source had at its beginning
    fact: VisitedState | None = None  # under way to the server

    @property
    def view(self) -> View:
        if self.declared:
            return "fenced" if self.silent else "back"
        return not self.silent


class Record(NamedTuple):
    """What the database says of the instance."""

    host: int
    flavor: str
    vm_state: str
    running: bool


class State(NamedTuple):
    op: Op
    hosts: tuple[Host, ...]
    facts: tuple[VisitedState | None, ...]  # what the server keeps, by host
    shared: Store  # the pool that all hosts have
    record: Record
    claims: frozenset[tuple[int, str]]  # host, flavor
    disturbed: bool  # a host lost its power, or a guest stopped: the record may be old until an agent looks
    faults: int


Step = tuple[str, State]


def on(state: State, host: int, **changes: Any) -> State:
    hosts = list(state.hosts)
    hosts[host] = hosts[host]._replace(**changes)
    return state._replace(hosts=tuple(hosts))


def store(state: State, host: int) -> Store:
    """What the host reaches of the instance."""
    return state.shared if state.op.shared else state.hosts[host].store


def put(state: State, host: int, **changes: int | None) -> State:
    after = store(state, host)._replace(**changes)
    return state._replace(shared=after) if state.op.shared else on(state, host, store=after)


def observed(state: State, host: int) -> str:
    """The domain's state as its host's agent tells it."""
    saved = state.hosts[host].dom == "shut_off" and store(state, host).memory is not None
    return "saved" if saved else state.hosts[host].dom


def stores(state: State) -> tuple[Store, ...]:
    return (state.shared, *(host.store for host in state.hosts))
