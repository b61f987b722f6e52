"""Fencing evidence: why a silent host counts as running none of its instances (DESIGN.md, rule 7).

Pure: a host's row and the settings in, evidence out. Never fences anything itself (``api/fencer.py`` runs the
operator's command, ``compute/lease.py`` is the host's own promise).
"""

from dataclasses import dataclass
from typing import Any

from migrator.settings import ServerSettings

# What a host gets beyond its lease: the time to stop its guests, and clocks that do not run alike.
GRACE_S = 30.0
DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Evidence:
    """``kind``: "forced_down", "fence_command", "lease" or "policy"; ``by``: who vouches for it; ``at``: when, in
    seconds by the database's clock (None: it holds now)."""

    kind: str
    by: str
    words: str
    at: float | None


def evidence(row: Any, settings: ServerSettings) -> Evidence | None:
    """The evidence there is for a row of ``hosts`` (with ``silent_s``); None for a host that is heard and not forced
    down, or of whose silence nothing is known."""
    recorded = row.fencing or {}
    if row.forced_down:
        return _recorded(recorded, "forced_down", f"{row.name} was forced down")
    if row.silent_s <= settings.service_down_time:
        return None
    if recorded.get("kind") == "fence_command" and recorded.get("at", 0.0) >= row.last_seen:
        return _recorded(recorded, "fence_command", f"the fence command for {row.name} succeeded")
    lease = float(row.report.get("self_fencing_lease_s", 0.0))
    if lease > 0 and row.silent_s > lease * (1 + DRIFT) + GRACE_S:
        words = f"{row.name} has not been heard for {row.silent_s:.0f} s, longer than its self-fencing lease"
        return Evidence("lease", row.name, words, None)
    if settings.evacuate_silent_hosts:
        return Evidence(
            "policy", "evacuate_silent_hosts", f"{row.name} is silent, and policy takes that for enough", None
        )
    return None


def wanted() -> str:
    """What would count, for an answer that refuses."""
    return (
        "What would count: forced_down set by an operator or an external tool, the success of fence_command, a lapsed "
        "self-fencing lease, or the policy evacuate_silent_hosts."
    )


def _recorded(recorded: Any, kind: str, otherwise: str) -> Evidence:
    mine = recorded if recorded.get("kind") == kind else {}
    return Evidence(kind, mine.get("by", ""), mine.get("words", otherwise), mine.get("at"))
