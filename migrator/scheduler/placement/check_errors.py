"""What an operation's error tells of the checks that failed: each under its code, by host, for programs too.

Owns that part of the error and nothing else of the plan. Reads only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from migrator.checks import CHECKS
from migrator.db import hosts
from migrator.db.engine import Connection
from migrator.operations import Kind
from migrator.protocol import CheckResult
from migrator.scheduler.checks.finding import Finding
from migrator.scheduler.decision.snapshot import Plan, Snapshot
from migrator.scheduler.placement import preflight

Checks = Mapping[str, Sequence[Mapping[str, Any]]]

_OF_THE_SOURCE = ("instance", "devices")  # codes that do not depend on the destination


def with_checks(connection: Connection, snapshot: Snapshot, plan: Plan, down_after: float) -> Plan:
    """``plan`` with every check that failed, where a host's own checks turn the operation round. A live migration that
    its source refuses is told at once what the host that was asked for would have refused."""
    if not plan.error or plan.error.get("code") != "check_failed":
        return plan
    operation = snapshot.operation
    facts = {host: f for host, f in snapshot.facts.items() if (f.phase, f.epoch) == (operation.phase, operation.epoch)}
    checks = {host: [_of_host(c) for c in fact.checks if not c.ok] for host, fact in facts.items()}
    asked = _of_destination(connection, snapshot, down_after)
    message = "; ".join([str(plan.error["message"]), *(f"{asked[0]}: {c['code']}: {c['message']}" for c in asked[1])])
    found: dict[str, Any] = {host: failed for host, failed in [*checks.items(), asked] if failed}
    return replace(plan, error=dict(plan.error) | {"message": message, "checks": found})


def _of_destination(connection: Connection, snapshot: Snapshot, down_after: float) -> tuple[str, list[dict[str, Any]]]:
    """(host, failed checks) of the destination that was asked for, before it is asked itself."""
    operation, wanted = snapshot.operation, snapshot.operation.requested_host
    early = operation.kind is Kind.LIVE_MIGRATION and operation.destination is None
    if not early or wanted is None or not hosts.by_names(connection, [wanted]):
        return "", []
    (found,) = preflight.of_instance(connection, operation.instance_uuid, [wanted], down_after)
    return wanted, [of_finding(*one) for one in found.hosts[0].failed if one[0] not in _OF_THE_SOURCE]


def of_finding(code: str, found: Finding) -> dict[str, Any]:
    """A check that failed, as an operation's error has it."""
    sides = {"source": found.source, "destination": found.destination}
    advice = CHECKS[code].advice if code in CHECKS else ""
    return {"code": code, "message": found.words, "found": sides, "advice": advice}


def _of_host(check: CheckResult) -> dict[str, Any]:
    return {"code": check.name, "message": check.found, "advice": check.advice}
