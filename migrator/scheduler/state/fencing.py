"""Fencing evidence: why a silent host counts as running none of its instances (DESIGN.md, rule 7).

Pure: a host's row and the settings in, evidence out. Never fences anything itself (``server/fence_runner.py`` runs the
operator's command, ``compute/fencing/lease.py`` is the host's own promise).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrator.db.hosts import given_at, said_down
from migrator.db.rows import HostRow
from migrator.settings import ServerSettings

# A lease counts as lapsed only this much after its length: the agent needs time to stop its guests (or the watchdog to
# reset the host), and its clock and the database's do not run alike.
STOPPING_S = 30.0
DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Evidence:
    """``kind``: "forced_down", "fence_command", "notification", "lease" or "policy"; ``by``: who vouches for it;
    ``at``: when, in seconds by the database's clock (None: it holds now)."""

    kind: str
    by: str
    message: str
    at: float | None


def evidence(row: HostRow, settings: ServerSettings) -> Evidence | None:
    """The evidence there is; None for a host that is heard, and was not forced down a moment
    ago, or of whose silence nothing is known."""
    recorded: Mapping[str, Any] = row.fencing or {}
    if forced_down(row):
        message = recorded.get("words", "it was forced down")
        return Evidence("forced_down", recorded.get("by", ""), message, recorded.get("at"))
    if row.silent_s <= settings.service_down_time:
        return None
    return _fenced(row, recorded) or _lapsed(row) or _policy(row, settings)


def forced_down(row: HostRow) -> bool:
    """Whether an operator's or a tool's word that the host is down counts: it was given since the host was heard, and
    since servers listen without a break."""
    return bool(row.forced_down) and said_down(row.fencing, row.last_seen, _listening_since(row))


def _listening_since(row: HostRow) -> float:
    """By the servers' clock. What was recorded before may come out of a backup, and the host be healthy since."""
    return row.last_seen + row.silent_s - row.listening_s


def notified_too_early(row: HostRow, age_s: float) -> str:
    """Why a monitor's word of so long ago says nothing of the host's present silence; "": it does."""
    if age_s > row.silent_s:
        return "the host was heard after that"
    return "the servers were away after that, so it has to be said again" if age_s > row.listening_s else ""


def wanted(row: HostRow | None = None) -> str:
    """What would count, for an answer that refuses; ``row``: the host's."""
    return _outdated(row) + (
        "What would count: forced_down set by an operator or an external tool, the success of fence_command, a "
        "monitor's notification, a lapsed self-fencing lease, or the policy evacuate_silent_hosts."
    )


def _outdated(row: HostRow | None) -> str:
    if row is None or not row.forced_down or forced_down(row):
        return ""
    heard = said_down(row.fencing, math.inf, _listening_since(row), under_way_s=math.inf)
    why = (
        "It was heard after it was forced down"
        if heard
        else "It was forced down before the servers were last away, and a backup may have been restored since"
    )
    return f"{why}, so that word counts no more: if {row.name} is down now, set forced_down again. "


def lapses_after(lease_s: float) -> float:
    """Seconds of silence after which the server trusts that a host with this lease has stopped its guests."""
    return lease_s * (1 + DRIFT) + STOPPING_S


def _fenced(row: HostRow, recorded: Mapping[str, Any]) -> Evidence | None:
    """A host that was heard after it had been fenced is alive again: the fencing says nothing about it any more."""
    kind = str(recorded.get("kind"))
    if kind not in ("fence_command", "notification") or given_at(recorded) < max(row.last_seen, _listening_since(row)):
        return None
    by, said = recorded.get("by", ""), recorded.get("words", "")
    message = f"the fence command succeeded on {by}" + (f": {said}" if said else "")
    return Evidence(kind, by, message if kind == "fence_command" else said, recorded["at"])


def _lapsed(row: HostRow) -> Evidence | None:
    """Only time in which servers listened counts: only a clock that an operator may set measures the rest."""
    lease = row.report.get("self_fencing_lease_s", 0.0)
    if not isinstance(lease, (int, float)) or lease <= 0:  # a value that cannot be read is no evidence
        return None
    if min(row.silent_s, row.listening_s) <= lapses_after(lease):
        return None
    message = (
        f"its self-fencing lease of {lease:g} s has lapsed: not heard for {row.silent_s:.0f} s, and "
        f"{lapses_after(lease):g} s are enough"
    )
    return Evidence("lease", row.name, message, None)


def _policy(row: HostRow, settings: ServerSettings) -> Evidence | None:
    if not settings.evacuate_silent_hosts or row.listening_s <= settings.service_down_time:
        return None
    message = f"not heard for {row.silent_s:.0f} s, and the policy evacuate_silent_hosts takes that for enough"
    return Evidence("policy", "evacuate_silent_hosts", message, None)
