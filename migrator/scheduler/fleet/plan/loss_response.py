"""What the servers do on their own about hosts that are silent: a pure function of what is known of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TOGETHER_S = 3600.0  # a host without anything to recover counts as lost with others for so long
FENCED_AGAIN_S = 3600.0  # a host that was fenced and came back is not fenced again sooner


class Loss(StrEnum):
    """How far the answer to a loss is."""

    OPEN = "open"  # nothing was begun
    RECOVERING = "recovering"
    OVER = "over"
    TAKEN = "taken"  # by an evacuation that a person began


class Act(StrEnum):
    NOTHING = "nothing"
    FENCE = "fence"  # run the fence command, unless it runs
    END_DRAIN = "end-drain"  # cancel what else is done with the host's instances
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class SilentHost:
    """``instances``: how many are to be recovered; ``evidence``: why it runs nothing, "": nothing says so; ``wanted``:
    what would count. ``awaited``: servers came back a moment ago, so its silence says nothing yet. ``closed``: an
    operator took it out of use. ``drain``: UUID and kind of another drain of the host. ``fenced_s``: since the fence
    command succeeded for it, before it was heard again; None: it did not. ``fence_failed``: what the command said."""

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
    """Names of the hosts that count as silent together. One whose instances were recovered, or that a person took in
    hand, does not; nor does an empty one that is closed, or has been silent for long."""
    return [host.name for host in hosts if _counts(host)]


def too_many(hosts: Sequence[SilentHost], rules: Rules) -> str:
    """Why nothing is recovered at all; "": no such reason."""
    names = lost_together(hosts)
    if len(names) <= rules.max_lost:
        return ""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    told = f"{', '.join(names[:20])}{more}"
    return f"{len(names)} hosts are silent together ({told}), and ha_max_lost is {rules.max_lost}"


def respond(hosts: Sequence[SilentHost], rules: Rules) -> Sequence[Response]:
    """One for each host that has something to recover and whose loss has no answer yet."""
    held = too_many(hosts, rules)
    return [_respond(host, rules, held) for host in hosts if is_open(host)]


def is_open(host: SilentHost) -> bool:
    return host.loss is Loss.OPEN and host.instances > 0 and not host.awaited


def _respond(host: SilentHost, rules: Rules, held: str) -> Response:
    if held:
        return Response(host.name, Act.NOTHING, held)
    if not host.evidence:
        return _without_evidence(host, rules)
    if host.drain:
        return Response(host.name, Act.END_DRAIN, f"{host.drain} is under way, and is ended first")
    return Response(host.name, Act.RECOVER)


def _without_evidence(host: SilentHost, rules: Rules) -> Response:
    told = f"host {host.name} is silent, but nothing says that its guests do not run any more. {host.wanted}"
    if not rules.fences:
        return Response(host.name, Act.NOTHING, told)
    if host.fenced_s is not None and host.fenced_s < FENCED_AGAIN_S:
        again = "The servers fenced it within the last hour, it came back, and only a person does so again."
        return Response(host.name, Act.NOTHING, f"{told} {again}")
    if host.silent_s <= rules.silence_s:
        soon = f"The fence command is run for it after {rules.silence_s:g} s of silence."
        return Response(host.name, Act.NOTHING, f"{told} {soon}")
    failed = f" It failed: {host.fence_failed}" if host.fence_failed else ""
    return Response(host.name, Act.FENCE, f"{told} The fence command is run for it.{failed}")


def _counts(host: SilentHost) -> bool:
    if host.loss in (Loss.OVER, Loss.TAKEN):
        return False
    return host.instances > 0 or (host.silent_s < TOGETHER_S and not host.closed)
