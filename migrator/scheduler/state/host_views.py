"""Turns hosts' rows into the plain values that ``decide`` and the filters read.

Whether a host is heard, what it says of itself, and why its guests count as stopped. Changes nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson
from pydantic import ValidationError

from migrator.db.rows import HostRow
from migrator.protocol import HostReport
from migrator.scheduler.checks.finding import Candidate
from migrator.scheduler.decision.snapshot import HostView, Liveness
from migrator.scheduler.state.fencing import evidence
from migrator.settings import ServerSettings

# Agents poll at least every 10 s. A host that is forced down counts as silent after this time.
DECLARED_DEAD_S = 15.0
_NO_REPORT = HostReport(vcpus=0, memory_mb=0, address="", live_migration_uri="")
# Host -> its newest description by digest, parsed: who reads all hosts reads the same ones again and again, and parsing
# was most of that. One a host, so that an agent that changes its own at each registration fills no memory.
_parsed: dict[str, tuple[bytes, tuple[HostReport, str]]] = {}
_PARSED_MAX = 10_000


def report_of(row: HostRow) -> tuple[HostReport, str]:
    """A host's description, and why it cannot be read ("": it can). One that cannot counts as empty, and its host is
    used for nothing: a bad row is one host's fault, and never that of a reader of all hosts."""
    digest = blake2b(orjson.dumps(row.report), digest_size=16).digest()
    known = _parsed.get(row.name)
    if known is None or known[0] != digest:
        if len(_parsed) >= _PARSED_MAX:
            _parsed.clear()
        _parsed[row.name] = known = (digest, _parse(row.report))
    return known[1]


def _parse(report: Mapping[str, Any]) -> tuple[HostReport, str]:
    try:
        return HostReport.model_validate(report), ""
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}))
        return _NO_REPORT, f"its description cannot be read ({fields}); restart its agent, which describes it anew"


def has_listed(row: HostRow) -> bool:
    """Whether the host has listed its copies since the servers are back. One of which no list is known has not: that
    there was none before, a backup does not tell, least of all one of a release that wrote down none."""
    return row.listed_s is not None and row.listed_s <= row.listening_s


def host_view(row: HostRow, down_after: float) -> HostView:
    report, unreadable = report_of(row)
    patience_s = min(down_after, DECLARED_DEAD_S) if row.forced_down else down_after
    return HostView(
        name=row.name,
        report=report,
        silent_s=row.silent_s,
        liveness=_liveness(row, patience_s),
        disabled=row.disabled or not row.approved,
        approved=row.approved,
        forced_down=row.forced_down,
        heard_s=row.heard_s,
        now=row.last_seen + row.silent_s + row.behind_s,
        listed_s=math.inf if row.listed_s is None else row.listed_s,
        listed=has_listed(row),
        unreadable=unreadable,
    )


def _liveness(row: HostRow, patience_s: float) -> Liveness:
    if row.silent_s <= patience_s:
        return Liveness.HEARD
    return Liveness.AWAITED if row.listening_s <= patience_s else Liveness.SILENT


def with_fencing(row: HostRow, view: HostView, settings: ServerSettings, since: float) -> HostView:
    """``view`` with the evidence that the host's guests do not run, and the fence command's failure if it is newer
    than ``since`` (seconds by the servers' clock)."""
    found = evidence(row, settings)
    attempt = row.fence_attempt or {}
    failed = (
        attempt.get("words")
        if attempt.get("ok") is False and attempt.get("clock", attempt.get("at", 0.0)) >= since
        else None
    )
    return replace(view, evidence=found.message if found is not None else None, fence_failed=failed)


def candidates(rows: Iterable[HostRow], down_after: float) -> list[Candidate]:
    return [Candidate(host_view(row, down_after), row.free_vcpus, row.free_memory_mb, row.free_disk_gb) for row in rows]
