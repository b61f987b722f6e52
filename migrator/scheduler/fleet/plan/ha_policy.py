"""What the servers do on their own about an instance whose host, or whose guest, is lost. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.errors import BadRequest

HA_KEY = "migrator:ha"  # in the metadata of instances and of aggregates
_SHOWN = 40  # characters of a word that is none


class HaPolicy(StrEnum):
    OFF = "off"
    RESTART = "restart"  # where it is, and nowhere else
    EVACUATE = "evacuate"  # elsewhere too, when its host is lost and something says that it runs nothing


_CAREFUL = tuple(HaPolicy)  # of two words the earlier one counts


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """``message``: whose word it is, for a sentence."""

    policy: HaPolicy
    message: str


def policy_of(metadata: Mapping[str, str], of_aggregates: Collection[str], of_fleet: str) -> PolicyAnswer:
    """Operators' word: that of the host's aggregates (the most careful one, where they contradict each other), else the
    fleet's. The instance's own word counts only where it is as careful or more: its metadata is a tenant's, and what a
    tenant writes has no host fenced. A word that is none is no policy: nothing is done, and the answer names it."""
    operators = PolicyAnswer(HaPolicy(of_fleet), f"ha_policy of the fleet is {of_fleet}")
    if of_aggregates:
        operators = _read(sorted(of_aggregates), "its host's aggregate" + ("s" if len(of_aggregates) > 1 else ""))
    if HA_KEY not in metadata:
        return operators
    own = _read([metadata[HA_KEY]], "its metadata")
    if _CAREFUL.index(own.policy) <= _CAREFUL.index(operators.policy):
        return own
    ignored = f"{own.policy} of its metadata does not count, for it is less careful"
    return PolicyAnswer(operators.policy, f"{operators.message}; {ignored}")


def check(metadata: Mapping[str, str | None]) -> None:
    """What is to be written. Raises BadRequest for a word that is no policy."""
    word = metadata.get(HA_KEY)
    if word is not None and word not in _CAREFUL:
        raise BadRequest(f"{HA_KEY} = {word[:_SHOWN]} is no policy: expected one of {', '.join(_CAREFUL)}")


def _read(values: Collection[str], whose: str) -> PolicyAnswer:
    told = f"{HA_KEY} of {whose} is {' and '.join(word[:_SHOWN] for word in values)}"
    if any(word not in _CAREFUL for word in values):
        return PolicyAnswer(HaPolicy.OFF, f"{told}, and expected is one of {', '.join(_CAREFUL)}")
    return PolicyAnswer(min((HaPolicy(word) for word in values), key=_CAREFUL.index), told)
