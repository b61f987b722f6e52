"""Whether a host is in the zone that an instance is pinned to, and in an aggregate that its flavor asks for. Pure.

Owns how an extra spec compares with an aggregate's metadata: the operators are Nova's.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCOPE = "aggregate_instance_extra_specs:"


def _numbers(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def judged(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return judged


_OPERATORS: Mapping[str, Callable[[str, str], Any]] = {
    "=": _numbers(operator.ge),  # so it is in Nova
    "==": _numbers(operator.eq),
    "!=": _numbers(operator.ne),
    ">=": _numbers(operator.ge),
    "<=": _numbers(operator.le),
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
    "<in>": lambda value, wanted: wanted in value,
}


def matches(value: str, wanted: str) -> bool:
    """Whether an aggregate's value is as the extra spec wants it: equal, unless it begins with an operator."""
    first, *rest = wanted.split() or [""]
    if first == "<or>":
        return value in [word for word in rest if word != "<or>"]
    if first in _OPERATORS and rest:
        return bool(_OPERATORS[first](value, " ".join(rest)))
    return value == wanted


@dataclass(frozen=True, slots=True)
class HostAggregates:
    """``zone``: that the instance is pinned to; None: any. ``specs``: its flavor's, without their scope. ``zones`` and
    ``metadata``: of each host that is in an aggregate; ``default_zone``: of all others."""

    zone: str | None = None
    specs: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    default_zone: str = "nova"

    def zone_of(self, host: str) -> str:
        return self.zones.get(host, self.default_zone)


def zone_refusal(host: str, found: HostAggregates) -> str | None:
    """Why the zone keeps the instance from the host; None: it does not."""
    if found.zone is None or found.zone_of(host) == found.zone:
        return None
    return f"it is in availability zone {found.zone_of(host)}, and the instance is pinned to {found.zone}"


def specs_refusal(host: str, found: HostAggregates) -> str | None:
    has = found.metadata.get(host, {})
    missing = [
        f"{key} {wanted} (it has {', '.join(sorted(has[key])) if key in has else 'none'})"
        for key, wanted in sorted(found.specs.items())
        if not any(matches(value, wanted) for value in has.get(key, ()))
    ]
    return f"no aggregate of it has what the flavor asks for: {', '.join(missing)}" if missing else None


def refusal(host: str, found: HostAggregates) -> str | None:
    return zone_refusal(host, found) or specs_refusal(host, found)


NO_AGGREGATES = HostAggregates()
