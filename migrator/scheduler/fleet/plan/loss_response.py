"""What the servers do on their own about hosts that are silent: a pure function of what is known of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TOGETHER_S = 3600.0  # a host without instances counts as lost with others for so long; where it is fenced, any host
FENCED_AGAIN_S = 3600.0  # a host that was fenced and came back is not fenced again sooner


class Loss(StrEnum):
    """How far the answer to a loss is."""

    OPEN = "open"  # nothing was begun
    RECOVERING = "recovering"
    STALLED = "stalled"  # it is being recovered, but what is left is stuck
    OVER = "over"
    TAKEN = "taken"  # by a person, who began an evacuation or cancelled the recovery


class Act(StrEnum):
    NOTHING = "nothing"
    FENCE = "fence"  # run the fence command, unless it runs
    END_DRAIN = "end-drain"  # cancel what else is done with the host's instances
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class SilentHost:
    """``instances``: how many are to be recovered, of the ``recorded`` ones that it has; ``evidence``: why it runs
    nothing, "": nothing says so; ``wanted``: what would count. ``awaited``: servers came back a moment ago, so its
    silence says nothing yet. ``closed``: an operator took it out of use. ``drain``: UUID and kind of another drain of
    it. ``fenced_s``: since the fence command succeeded for it, before it was heard again; None: it did not.
    ``fence_failed``: what the command said. ``early``: silent, but not for so long yet that anything is done about it.
    ``paused``: a person holds its recovery."""

    name: str
    silent_s: float
    instances: int
    loss: Loss = Loss.OPEN
    evidence: str = ""
    wanted: str = ""
    awaited: bool = False
    closed: bool = False
    drain: str = ""
    fenced_s: float | None = None
    fence_failed: str = ""
    recorded: int = 0
    early: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """As the settings of these names."""

    max_lost: int
    fences: bool
    silence_s: float


@dataclass(frozen=True, slots=True)
class Response:
    """``held``: why nothing is recovered although there is something to recover."""

    host: str
    act: Act
    held: str = ""


def lost_together(hosts: Sequence[SilentHost]) -> list[str]:
    """Names of the hosts that count as silent together. One whose instances were recovered as far as they can be, or
    that a person took in hand, does not; nor does one without instances that is closed, or has been silent for long."""
    return [host.name for host in hosts if _counts(host)]


def too_many(hosts: Sequence[SilentHost], rules: Rules) -> str:
    """Why nothing is recovered at all; "": no such reason."""
    names = lost_together(hosts)
    if len(names) <= rules.max_lost:
        return ""
    return f"{len(names)} hosts are silent together ({_listed(names)}), and ha_max_lost is {rules.max_lost}"


def respond(hosts: Sequence[SilentHost], rules: Rules) -> Sequence[Response]:
    """One for each host that has something to recover and whose loss has no answer yet; where the servers fence, also
    for one whose recovery has lost its evidence."""
    held, shots = too_many(hosts, rules), _too_many_to_fence(hosts, rules)
    found = [_respond(host, rules, held, shots) for host in hosts if is_open(host)]
    if rules.fences and not held:
        found += [_without_evidence(host, rules, shots) for host in hosts if _lacks_evidence(host)]
    return found


def in_vain(host: str, reasons: Sequence[str]) -> Response:
    """Instead of fencing a host of which no instance has a place elsewhere; ``reasons``: why not, of each."""
    why = "; ".join(dict.fromkeys(reasons)) or "nothing is left to evacuate"
    told = f"host {host} is silent, and is not fenced: none of its instances could be evacuated"
    return Response(host, Act.NOTHING, f"{told} ({why})")


def is_open(host: SilentHost) -> bool:
    return host.loss is Loss.OPEN and _answerable(host)


def is_left(host: SilentHost) -> bool:
    """Whether its recovery ended although there is something to recover, and no person ended it."""
    return host.loss is Loss.OVER and _answerable(host)


def _answerable(host: SilentHost) -> bool:
    return host.instances > 0 and not host.awaited and not host.early


def _lacks_evidence(host: SilentHost) -> bool:
    return host.loss is Loss.RECOVERING and not host.evidence and not host.paused and _answerable(host)


def _respond(host: SilentHost, rules: Rules, held: str, shots: str) -> Response:
    if held:
        return Response(host.name, Act.NOTHING, held)
    if not host.evidence:
        return _without_evidence(host, rules, shots)
    if host.drain:
        return Response(host.name, Act.END_DRAIN, f"{host.drain} is under way, and is ended first")
    return Response(host.name, Act.RECOVER)


def _without_evidence(host: SilentHost, rules: Rules, shots: str) -> Response:
    told = f"host {host.name} is silent, but nothing says that its guests do not run any more. {host.wanted}"
    if not rules.fences:
        return Response(host.name, Act.NOTHING, told)
    if host.fenced_s is not None and host.fenced_s < FENCED_AGAIN_S:
        again = "The servers fenced it within the last hour, it came back, and only a person does so again."
        return Response(host.name, Act.NOTHING, f"{told} {again}")
    if shots:
        return Response(host.name, Act.NOTHING, f"{told} {shots}")
    if host.silent_s <= rules.silence_s:
        soon = f"The fence command is run for it after {rules.silence_s:g} s of silence."
        return Response(host.name, Act.NOTHING, f"{told} {soon}")
    failed = f" It failed: {host.fence_failed}" if host.fence_failed else ""
    return Response(host.name, Act.FENCE, f"{told} The fence command is run for it.{failed}")


def _counts(host: SilentHost) -> bool:
    if host.loss in _ANSWERED:
        return False
    return max(host.instances, host.recorded) > 0 or (host.silent_s < TOGETHER_S and not host.closed)


_ANSWERED = frozenset({Loss.STALLED, Loss.OVER, Loss.TAKEN})


def _too_many_to_fence(hosts: Sequence[SilentHost], rules: Rules) -> str:
    """Why the servers fence no host; "": no such reason. What silences hosts one after another, as a bad release does,
    would have the whole fleet fenced, each host alone: so here one whose loss has an answer counts for an hour, too."""
    lately = [h.name for h in hosts if _counts(h) or (h.loss in _ANSWERED and h.silent_s < TOGETHER_S)]
    if len(lately) <= rules.max_lost:
        return ""
    return (
        f"The servers do not fence it: {len(lately)} hosts were lost within an hour or together ({_listed(lately)}), "
        f"and ha_max_lost is {rules.max_lost}."
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20])}{more}"
