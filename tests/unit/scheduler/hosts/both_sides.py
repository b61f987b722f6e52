"""An instance's record and copies side by side, as the tests of what is said and taken of them give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrator.scheduler.hosts.reconciliation_rules import Sides


@dataclass(frozen=True)
class CopyOnHost:
    host: str
    state: str = "running"
    believed: bool = True
    age_s: float = 5.0

    @property
    def seen_at(self) -> float:
        return 1000.0 - self.age_s


@dataclass(frozen=True)
class Record:
    host: str | None = "n1"
    deleted: bool = False
    vm_state: str = "active"
    updated_at: float | None = None
    created_at: float = 0.0
    uuid: str = "u"


@dataclass(frozen=True)
class View:
    heard: bool = True
    fenced: bool = False
    listed: bool = True
    silent_s: float = 0.0
    evidence: str | None = None
    awaited: bool = False
    name: str = "n1"
    now: float = 1000.0


@dataclass(frozen=True)
class Operation:
    kind: str = "migration"
    phase: str = "copy"
    locks_instance: bool = True
    source: str = "n1"
    destination: str = "n2"
    forward: bool = True
    wait_reason: str | None = None
    uuid: str = "o"


SILENT = View(heard=False, silent_s=45.0)
FENCED = View(heard=False, fenced=True, silent_s=45.0, evidence="forced down by admin")
LISTLESS = View(listed=False)
NONE = object()  # in the record's place: there is none


def sides(
    *copies: CopyOnHost,
    record: Any = None,
    operations: Any = (),
    disputed: str = "",
    at_work: Sequence[str] = (),
    unseen: Sequence[str] = (),
    **views: View,
) -> Sides:
    known: Any = {name: View(name=name) for name in ("n1", "n2", "n3")} | views
    held: Any = copies
    recorded: Any = None if record is NONE else record or Record()
    return Sides("u", recorded, held, known, operations, frozenset(), disputed, at_work, unseen)
