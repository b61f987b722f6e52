"""Packs instances into hosts as a whole: no instance is left over because an earlier one took its place.

Three steps, each for what the one before left over: the hosts with most free memory, the largest instances first; then
one that is placed makes room and goes elsewhere, and so on in a chain; then, for few instances, every combination up to
a limit. Pure.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from migrator.scheduler.fleet.plan.model import MOVES, Guest, HostOffer, Option, PlanRequest, Room

_CHAIN = 3  # placed instances that make room one after the other
_LOOKS = 200_000  # at a host, by all chains of one plan
_NODES = 100_000  # of the search of every combination
_SEARCHED = 60  # instances at the most that every combination is searched for

Placement = dict[int, tuple[Option, str]]  # index of the guest -> its way and host


def pack(request: PlanRequest) -> Placement:
    """Guests that go to a host; one that is not in it finds no place."""
    cluster = Cluster(request.hosts, request.guests)
    _fill(cluster)
    left = [index for index in cluster.order if index not in cluster.placed and cluster.choices(index)]
    if not left:
        return cluster.placed
    budget = _Budget(_LOOKS)
    left = [index for index in left if not _chain(cluster, index, _CHAIN, frozenset(), budget)]
    if left and len(cluster.order) <= _SEARCHED:
        return _Search(cluster).best()
    return cluster.placed


@dataclass(slots=True)
class _Budget:
    left: int

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


@dataclass(slots=True)
class Cluster:
    """What is free while the plan is made."""

    hosts: Sequence[HostOffer]
    guests: Sequence[Guest]
    placed: Placement = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    free: dict[str, list[float]] = field(default_factory=dict)
    members: dict[tuple[str, str], int] = field(default_factory=dict)  # (group, host) -> members that are planned there
    on: dict[str, set[int]] = field(default_factory=dict)  # host -> guests that are planned there
    _open: dict[int, frozenset[str]] = field(default_factory=dict)
    _choices: dict[int, list[tuple[Option, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = {h.name: [h.room.vcpus, h.room.memory_mb, h.room.disk_gb] for h in self.hosts}
        self.on = {h.name: set() for h in self.hosts}
        self.order = sorted(range(len(self.guests)), key=self._rank)

    def _rank(self, index: int) -> tuple[int, int, float, str]:
        """The most important first, then those with the fewest hosts to go to, then the largest."""
        guest = self.guests[index]
        reach = max((len(self.open_to(option)) for option in guest.options), default=0)
        return -guest.priority, reach, -guest.needs.memory_mb, guest.uuid

    def open_to(self, option: Option) -> frozenset[str]:
        """Hosts that the option may lead to. Options share their refusals, so the answer is kept by them."""
        if option.way not in MOVES or option.closed:
            return frozenset()
        key = id(option.refusals)
        if key not in self._open:
            self._open[key] = frozenset(name for name in self.free if name not in option.refusals)
        return self._open[key]

    def choices(self, index: int) -> list[tuple[Option, str]]:
        """Ways and hosts, the best way to each host only, hosts with most free memory at the start first. A host that
        had no room for it at the start is none: no other guest of the plan could make any."""
        if index not in self._choices:
            found: dict[str, Option] = {}
            for option in self.guests[index].options:
                for name in self.open_to(option):
                    found.setdefault(name, option)
            guest = self.guests[index]
            rank = {id(option): place for place, option in enumerate(guest.options)}
            room = {h.name: h.room for h in self.hosts if h.name in found and _suffices(h.room, guest.needs)}
            pairs = [(found[name], name) for name in room if name != guest.source]
            self._choices[index] = sorted(pairs, key=lambda p: (rank[id(p[0])], -room[p[1]].memory_mb, p[1]))
        return self._choices[index]

    def fits(self, guest: Guest, host: str) -> bool:
        free, needs = self.free[host], guest.needs
        return (
            free[1] >= needs.memory_mb
            and free[0] >= needs.vcpus
            and free[2] >= needs.disk_gb
            and host != guest.source
            and not self.apart(guest, host)
        )

    def apart(self, guest: Guest, host: str) -> bool:
        """Whether its group keeps it from the host."""
        group = guest.group
        return group is not None and not group.soft and self.together(guest, host) >= group.most

    def together(self, guest: Guest, host: str) -> int:
        """Members of its group that are there, or are planned there."""
        group = guest.group
        return group.others.get(host, 0) + self.members.get((group.uuid, host), 0) if group is not None else 0

    def put(self, index: int, option: Option, host: str) -> None:
        self._change(index, host, -1)
        self.placed[index] = option, host
        self.on[host].add(index)

    def take(self, index: int) -> tuple[Option, str]:
        option, host = self.placed.pop(index)
        self._change(index, host, 1)
        self.on[host].discard(index)
        return option, host

    def _change(self, index: int, host: str, sign: int) -> None:
        guest, free = self.guests[index], self.free[host]
        free[0] += sign * guest.needs.vcpus
        free[1] += sign * guest.needs.memory_mb
        free[2] += sign * guest.needs.disk_gb
        if guest.group is not None:
            key = guest.group.uuid, host
            self.members[key] = self.members.get(key, 0) - sign


def _suffices(room: Room, needs: Room) -> bool:
    return room.memory_mb >= needs.memory_mb and room.vcpus >= needs.vcpus and room.disk_gb >= needs.disk_gb


def _fill(cluster: Cluster) -> None:
    """Room only shrinks here, so a size that found no place finds none later."""
    heaps: dict[int, list[tuple[float, str]]] = {}
    hopeless: set[tuple[object, ...]] = set()
    for index in cluster.order:
        guest = cluster.guests[index]
        for option in guest.options:
            names = cluster.open_to(option)
            group = guest.group.uuid if guest.group is not None else None
            key = (id(option.refusals), guest.needs, guest.source, group)
            if not names or key in hopeless:
                continue
            heap = heaps.get(id(option.refusals))
            if heap is None:
                heap = heaps[id(option.refusals)] = [(-cluster.free[name][1], name) for name in names]
                heapq.heapify(heap)
            host = _roomiest(cluster, guest, heap)
            if host is not None:
                cluster.put(index, option, host)
                break
            hopeless.add(key)


def _roomiest(cluster: Cluster, guest: Guest, heap: list[tuple[float, str]]) -> str | None:
    """The host with most free memory that will do; of a soft group, one with as few members as there are."""
    aside: list[tuple[float, str]] = []
    best: tuple[int, str] | None = None
    while heap and -heap[0][0] >= guest.needs.memory_mb:
        known, name = heapq.heappop(heap)
        if -known != cluster.free[name][1]:  # something went there since: its place is further down
            heapq.heappush(heap, (-cluster.free[name][1], name))
            continue
        aside.append((known, name))
        if cluster.fits(guest, name):
            weight = cluster.together(guest, name)
            if best is None or weight < best[0]:
                best = weight, name
            if best[0] == 0:
                break
    for entry in aside:
        heapq.heappush(heap, entry)
    return best[1] if best is not None else None


def _chain(cluster: Cluster, index: int, depth: int, moved: frozenset[int], budget: _Budget) -> bool:
    """Place the guest; where there is no room, another one that is planned there goes elsewhere."""
    guest = cluster.guests[index]
    for option, host in cluster.choices(index):
        if not budget.spend():
            return False
        if cluster.fits(guest, host):
            cluster.put(index, option, host)
            return True
    if depth == 0:
        return False
    for option, host in cluster.choices(index):
        for other in sorted(cluster.on[host] - moved):
            if not budget.spend():
                return False
            before = cluster.take(other)
            if cluster.fits(guest, host):
                cluster.put(index, option, host)
                if _chain(cluster, other, depth - 1, moved | {index, other}, budget):
                    return True
                cluster.take(index)
            cluster.put(other, *before)
    return False


class _Search:
    """Every combination, up to a limit of steps; starts with what is placed already, and answers nothing worse."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._best: Placement = dict(cluster.placed)
        for index in list(cluster.placed):
            cluster.take(index)
        hopeful = [index for index in cluster.order if cluster.choices(index)]
        self._order = sorted(hopeful, key=lambda index: len(cluster.choices(index)))
        self._budget = _Budget(_NODES)

    def best(self) -> Placement:
        self._place(0)
        return self._best

    def _value(self, placement: Mapping[int, object]) -> tuple[int, int]:
        return len(placement), sum(self._cluster.guests[index].priority for index in placement)

    def _place(self, at: int) -> bool:
        """False: there is nothing more to find, or the limit is reached."""
        cluster = self._cluster
        if self._value(cluster.placed) > self._value(self._best):
            self._best = dict(cluster.placed)
        if len(self._best) == len(self._order) or not self._budget.spend():
            return False
        if at == len(self._order) or len(cluster.placed) + len(self._order) - at < len(self._best):
            return True
        index = self._order[at]
        for option, host in self._distinct(index):
            cluster.put(index, option, host)
            going_on = self._place(at + 1)
            cluster.take(index)
            if not going_on:
                return False
        return self._place(at + 1)

    def _distinct(self, index: int) -> Iterator[tuple[Option, str]]:
        cluster = self._cluster
        return iter([pair for pair in cluster.choices(index) if cluster.fits(cluster.guests[index], pair[1])])
