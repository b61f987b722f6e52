"""The checks that the destination of a live migration fails, as an operation's error has them: for people and programs.

Owns their form, and nothing of the plan. Reads only.
"""

from typing import Any

from migrator.checks import CHECKS
from migrator.db import hosts
from migrator.db.engine import Connection
from migrator.scheduler.checks.finding import CheckFinding
from migrator.scheduler.decision.snapshot import FailedChecks, Snapshot
from migrator.scheduler.placement import preflight

_OF_THE_SOURCE = ("instance", "devices")  # codes that do not depend on the destination


def destination_checks(connection: Connection, snapshot: Snapshot, down_after: float) -> FailedChecks:
    """Those of the destination that was asked for, before it is asked itself; none of a host that is not known."""
    wanted = snapshot.operation.requested_host
    if wanted is None or not hosts.by_names(connection, [wanted]):
        return ()
    (found,) = preflight.of_instance(connection, snapshot.operation.instance_uuid, [wanted], down_after)
    return tuple(of_finding(*one) for one in found.hosts[0].failed if one[0] not in _OF_THE_SOURCE)


def of_finding(code: str, found: CheckFinding) -> dict[str, Any]:
    """A check that failed, as an operation's error has it."""
    sides = {"source": found.source, "destination": found.destination}
    advice = CHECKS[code].advice if code in CHECKS else ""
    return {"code": code, "message": found.message, "found": sides, "advice": advice}
