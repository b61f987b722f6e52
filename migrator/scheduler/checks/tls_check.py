"""The check "tls": both hosts encrypt migrations with certificates that the other one accepts, or neither does. Pure.

Time is the database's. That the hosts' own clocks agree is a check of its own, and so is whether one libvirtd accepts
the other's certificate ("uri").
"""

from migrator.scheduler.checks.finding import Candidate, CheckFinding, PlacementRequest, unknown, verdict
from migrator.scheduler.decision.snapshot import HostView


def tls(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.origin is None:
        return unknown("the source is not known")
    source, destination = need.origin.host, candidate.host
    message = _differ(source, destination) or "; ".join(filter(None, map(_unusable, (source, destination))))
    found = message or _strangers(source, destination)
    age_s = max(source.silent_s, destination.silent_s)
    return verdict(found, _state(source), _state(destination), age_s)


def _differ(source: HostView, destination: HostView) -> str | None:
    if (source.report.tls is None) == (destination.report.tls is None):
        return None
    one, other = (source, destination) if destination.report.tls is None else (destination, source)
    return f"{one.name} encrypts migrations (live_migration_with_native_tls), {other.name} does not"


def _unusable(host: HostView) -> str | None:
    found = host.report.tls
    if found is None:
        return None
    if found.message:
        return f"{host.name} cannot encrypt: {found.message}"
    if host.now < found.not_before:
        return f"a certificate of {host.name} does not hold for another {_span(found.not_before - host.now)}"
    if host.now >= found.not_after:
        return f"a certificate of {host.name} expired {_span(host.now - found.not_after)} ago"
    return None


def _strangers(source: HostView, destination: HostView) -> str | None:
    for one, other in ((source, destination), (destination, source)):
        shown, accepted = one.report.tls, other.report.tls
        if shown is not None and accepted is not None and not set(shown.issuers) & set(accepted.trusted):
            return f"{other.name} does not trust the authority that signed the certificates of {one.name}"
    return None


def _state(host: HostView) -> str:
    found = host.report.tls
    if found is None:
        return "not encrypted"
    if found.message:
        return found.message
    authorities = ", ".join(digest[:16] for digest in found.issuers)
    return f"encrypts, CA {authorities}, {_span(found.not_after - host.now)} left"


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if abs(seconds) >= 2 * 86400 else f"{seconds / 3600:.1f} h"
