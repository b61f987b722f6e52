"""What agents promise, held against every moment of the world: the newest operation that a host served for an instance
never becomes an older one, and of several machines with one name at most one acts.

Owns the comparison with the moment before. What a disaster takes from a host on purpose is told to ``forget``.
"""

from collections import Counter
from collections.abc import Mapping

from tests.world.processes import AgentProcess


class Promises:
    """``broken`` collects every breach in words."""

    def __init__(self, broken: list[str]) -> None:
        self._broken = broken
        self._served: dict[tuple[str, str], int] = {}

    def forget(self, machine: str) -> None:
        """Its journal is lost, or another one."""
        self._served = {key: serial for key, serial in self._served.items() if key[0] != machine}

    def look(self, agents: Mapping[str, AgentProcess], now: float) -> None:
        for machine, agent in agents.items():
            self._compare(machine, agent, now)
        acting = Counter(agent.host for agent in agents.values() if agent.held)
        self._broken += [f"at {now:.2f} {count} machines act as {host}" for host, count in acting.items() if count > 1]

    def _compare(self, machine: str, agent: AgentProcess, now: float) -> None:
        for (name, uuid), before in list(self._served.items()):
            if name == machine and (serial := agent.journal.served(uuid)) < before:
                self._broken.append(f"at {now:.2f} {machine} served {serial} of {uuid} after {before}")
        self._served |= {(machine, uuid): agent.journal.served(uuid) for uuid in _instances(agent)}


def _instances(agent: AgentProcess) -> set[str]:
    return {held.assignment.instance.uuid for held in agent.held.values() if hasattr(held.assignment, "instance")}
