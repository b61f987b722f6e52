"""The fleet while a plan is made: what is used and free on each host, and whether a guest may go there. Pure."""

from dataclasses import dataclass, field

from migrator.scheduler.fleet.balance.model import BalanceRequest, Change, GuestLoad, HostLoad, Use

_MOVE_CPUS = 1.0  # processors that a migration keeps busy, on either host


def cost_s(guest: GuestLoad) -> float:
    """Processor seconds: the migration's own on both hosts, at its longest, and the guest's while it is away."""
    return 2 * _MOVE_CPUS * guest.duration_s * (1 + guest.doubt) + guest.downtime_s * max(guest.mean.cpus, 1.0)


@dataclass(slots=True)
class Fleet:
    """``placed``: guest's index -> host. Hosts that take no part are not in it."""

    request: BalanceRequest
    hosts: dict[str, HostLoad] = field(default_factory=dict)
    used: dict[str, Use] = field(default_factory=dict)
    peaks: dict[str, Use] = field(default_factory=dict)  # by which a host's use would be more with all at their peaks
    free: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    placed: list[str] = field(default_factory=list)
    on: dict[str, set[int]] = field(default_factory=dict)
    members: dict[tuple[str, str], int] = field(default_factory=dict)  # (group, host) -> guests of the plan there

    def __post_init__(self) -> None:
        self.hosts = {host.name: host for host in self.request.hosts if not host.closed}
        self.on = {name: set() for name in self.hosts}
        self.free = {name: (h.room.vcpus, h.room.memory_mb, h.room.disk_gb) for name, h in self.hosts.items()}
        means, self.peaks = dict.fromkeys(self.hosts, Use()), dict.fromkeys(self.hosts, Use())
        expected = dict.fromkeys(self.hosts, Use())
        for index, guest in enumerate(self.request.guests):
            self.placed.append(guest.host)
            if guest.group is not None:
                key = guest.group.uuid, guest.host
                self.members[key] = self.members.get(key, 0) + 1
            if guest.host in self.hosts:
                self.on[guest.host].add(index)
                means[guest.host] = means[guest.host].plus(guest.mean)
                expected[guest.host] = expected[guest.host].plus(guest.expected)
                self.peaks[guest.host] = self.peaks[guest.host].plus(guest.peak).plus(guest.expected, -1)
        for name, host in self.hosts.items():  # what the host uses besides its guests stays with it
            own = host.used.plus(means[name], -1)
            self.used[name] = Use(max(0.0, own.cpus), max(0.0, own.memory_mb)).plus(expected[name])

    def share(self, name: str, more: Use | None = None) -> Use:
        """The expected use of the host, and ``more``, as parts of its size."""
        size, used = self.hosts[name].size, self.used[name] if more is None else self.used[name].plus(more)
        return Use(used.cpus / size.cpus, used.memory_mb / size.memory_mb)

    def mean(self) -> Use:
        """Of the whole fleet: no move changes it."""
        sizes = [host.size for host in self.hosts.values()]
        cpus, memory_mb = sum(size.cpus for size in sizes), sum(size.memory_mb for size in sizes)
        used = self.used.values()
        if not sizes:
            return Use()
        return Use(sum(use.cpus for use in used) / cpus, sum(use.memory_mb for use in used) / memory_mb)

    def refusal(self, index: int, name: str) -> str:
        """Why the guest may not go there, by claims, checks and groups; "": it may."""
        guest = self.request.guests[index]
        if message := guest.refusals.get(name):
            return message
        needs, free = guest.needs, self.free[name]
        if needs.vcpus > free[0] or needs.memory_mb > free[1] or needs.disk_gb > free[2]:
            return "claims leave no room"
        return "its server group has members there" if self._apart(guest, self.placed[index], name) else ""

    def _apart(self, guest: GuestLoad, source: str, name: str) -> bool:
        """Of a group that is only wished for: whether there are as many members as where it is."""
        group = guest.group
        if group is None:
            return False
        return self.together(guest, name) >= (self.together(guest, source) if group.soft else group.most)

    def together(self, guest: GuestLoad, name: str) -> int:
        """Members of its group that are there."""
        group = guest.group
        return group.others.get(name, 0) + self.members.get((group.uuid, name), 0) if group is not None else 0

    def move(self, index: int, name: str) -> None:
        guest, source = self.request.guests[index], self.placed[index]
        for host, sign in ((source, -1), (name, 1)):
            needs, free = guest.needs, self.free[host]
            self.free[host] = (
                free[0] - sign * needs.vcpus,
                free[1] - sign * needs.memory_mb,
                free[2] - sign * needs.disk_gb,
            )
            self.used[host] = self.used[host].plus(guest.expected, sign)
            self.peaks[host] = self.peaks[host].plus(guest.peak, sign).plus(guest.expected, -sign)
            if guest.group is not None:
                key = guest.group.uuid, host
                self.members[key] = self.members.get(key, 0) + sign
        self.on[source].discard(index)
        self.on[name].add(index)
        self.placed[index] = name

    def change(self, name: str, first: "Fleet", before: Use) -> Change:
        """Of a host, whose share was ``before``; ``first``: the fleet before any move."""
        there = self.hosts[name].instances - len(first.on[name]) + len(self.on[name])
        return Change(name, before, self.share(name), self.hosts[name].instances, there)
