"""What lies on hosts and no record knows, or nothing uses, as their agents told. Never removes anything: the agent of
the host removes what is no instance's data; an instance's directory is an operator's to judge.
"""

from dataclasses import dataclass

from migrator.db.engine import Connection
from migrator.protocol import Leftover, LeftoverKind
from migrator.scheduler.state import surveys
from migrator.scheduler.state.unexplained_files import unexplained


@dataclass(frozen=True, slots=True)
class LeftOnHost:
    """``words``: why it counts as left over; ``removed``: the agent removes it when its time has come."""

    host: str
    told_s: float  # since its agent told of it
    what: Leftover
    reason: str
    removed: bool


def listed(connection: Connection, host: str | None = None) -> list[LeftOnHost]:
    """By host, as their agents told last, the largest first."""
    found = surveys.load(connection, [host] if host is not None else None, ())
    return [
        LeftOnHost(name, surveyed.age_s, what, message, what.kind != LeftoverKind.DISKS)
        for name, surveyed in sorted(found.items())
        for what, message in sorted(
            unexplained(connection, name, surveyed.survey.leftovers), key=lambda one: (-one[0].bytes, one[0].path)
        )
    ]
