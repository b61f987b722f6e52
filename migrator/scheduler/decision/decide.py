"""The pure function that advances an operation: ``decide(snapshot) -> plan``.

It walks the kind's table in ``migrator/operations``: down (``forward.py``) while the operation goes forward, up
(``backward.py``) while it is being undone. It imports no SQL, no HTTP, no clock and no libvirt, so every interleaving
can be tried in a test. It never looks at an operation other than the one it is given.
"""

from migrator.operations import OPERATIONS
from migrator.scheduler.decision.backward import rollback
from migrator.scheduler.decision.deadlines import timed
from migrator.scheduler.decision.forward import advance
from migrator.scheduler.decision.held_back import held_back
from migrator.scheduler.decision.snapshot import NOTHING, Plan, Snapshot
from migrator.scheduler.decision.unreported import named
from migrator.scheduler.decision.waiting import wait


def decide(snapshot: Snapshot) -> Plan:
    """The next step of the operation, or ``NOTHING``. Called again and again until it answers ``NOTHING``."""
    operation = snapshot.operation
    if not operation.active:
        return NOTHING
    table = OPERATIONS[operation.kind]
    phase = table.phase(operation.phase)
    for host in snapshot.hosts.values():
        if host.unreadable:  # what it shares with the other host is unknown, and so is what may be deleted
            return timed(snapshot, phase, wait(snapshot, f"waiting for host {host.name}: {host.unreadable}"))
    if reason := held_back(snapshot, phase):
        return timed(snapshot, phase, wait(snapshot, reason))
    plan = advance(snapshot, table, phase) if operation.forward else rollback(snapshot, table, phase)
    return timed(snapshot, phase, named(snapshot, plan))
