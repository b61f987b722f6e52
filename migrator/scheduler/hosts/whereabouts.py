"""Where an instance is, in sentences: by whose word, how old that word is, what could run elsewhere, and what to do.

Pure: reads what ``reconciliation.both_sides`` found. Decides nothing, and says "may" where no host has said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from migrator.db.host_domains import LIVE, QUIET_S
from migrator.db.rows import CopyRow, InstanceRow
from migrator.operations import VERIFY
from migrator.protocol import DomainState
from migrator.scheduler.hosts.reconciliation_rules import Sides


class Standing(StrEnum):
    """``CERTAIN``: the host said so lately. ``MOVING``: an operation has it in hand. ``UNKNOWN``: no host can tell
    whether it runs. ``NOWHERE``: it runs on no host. ``ATTENTION``: an alarm is open."""

    CERTAIN = "certain"
    MOVING = "moving"
    UNKNOWN = "unknown"
    NOWHERE = "nowhere"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    standing: Standing
    summary: str
    elsewhere: Sequence[str]  # a sentence for each copy on a host that is not the record's
    advice: Sequence[str]


_DOES = {
    DomainState.ABSENT: "is not defined",
    DomainState.SHUT_OFF: "is shut off",
    DomainState.PAUSED: "is paused",
    DomainState.INCOMING: "arrives",
    DomainState.RUNNING: "runs",
    DomainState.CRASHED: "has crashed",
    DomainState.SAVED: "is suspended, with its memory saved,",
}
_NOTHING = "Nothing."


def tell(sides: Sides, alarm_advice: Sequence[str]) -> Whereabouts:
    """``alarm_advice``: of each open alarm about the instance."""
    standing, summary, advice = _where(sides)
    if sides.operations and standing in (Standing.CERTAIN, Standing.NOWHERE):
        standing = Standing.MOVING
    if alarm_advice:
        standing = Standing.ATTENTION
    told = [*alarm_advice, *advice, *_of_operations(sides), *_of_record(sides.record)]
    return Whereabouts(standing, summary, _elsewhere(sides), tuple(dict.fromkeys(told)) or (_NOTHING,))


def _where(sides: Sides) -> tuple[Standing, str, Sequence[str]]:
    record = sides.record
    if record is None or record.deleted:
        return _without_record(sides)
    if record.host is None:
        return Standing.NOWHERE, "It is on no host yet.", ()
    return _on_host(sides, record, record.host)


def _without_record(sides: Sides) -> tuple[Standing, str, Sequence[str]]:
    what = "It is deleted" if sides.record is not None else "No record has it"
    holders = ", ".join(sorted(copy.host for copy in sides.copies))
    if not holders:
        return Standing.NOWHERE, f"{what}, and no host reports a copy of it.", ()
    return Standing.UNKNOWN, f"{what}, but there is still a copy of it on {holders}.", ()


def _on_host(sides: Sides, record: InstanceRow, host: str) -> tuple[Standing, str, Sequence[str]]:
    view, copy = sides.views.get(host), sides.copy_on(host)
    if view is None:
        return Standing.UNKNOWN, f"The record has it on {host}, a host that is not known any more.", ()
    if view.fenced:
        evacuate = f"Bring it back on another host: `migrator evacuate {record.uuid}`."
        return (
            Standing.NOWHERE,
            f"It runs nowhere: its host {host} is silent and fenced ({view.evidence}).",
            (evacuate,),
        )
    last = f"It was last reported there as {copy.state}" if copy is not None else "Nothing was reported of it there"
    if not view.heard:
        advice = (
            f"Bring {host} back. If that cannot be, switch it off, say so with `migrator service-force-down {host}`, "
            f"and then `migrator evacuate {record.uuid}`."
        )
        silent = f"Its host {host} has been silent for {view.silent_s:.0f} s. {last}, and it may still run."
        return Standing.UNKNOWN, silent, (advice,)
    if not view.listed:
        wait = f"Wait a few seconds: {host} answers, and has not listed its guests since the servers came back."
        return Standing.UNKNOWN, f"Its host {host} answers, and has not listed its guests yet. {last}.", (wait,)
    if copy is None or not copy.believed:
        age_s = view.now - (record.updated_at or record.created_at)
        if age_s < QUIET_S:
            said = f"It is {record.vm_state} on {host} by its record of {max(0.0, age_s):.0f} s ago"
            return Standing.CERTAIN, f"{said}; the host's next list of its guests is awaited.", ()
        return Standing.NOWHERE, f"It runs nowhere: its host {host} answers, and has no copy of it.", ()
    return Standing.CERTAIN, f"It {_does(copy)} on {host}, which said so {copy.age_s:.0f} s ago.", ()


def _does(copy: CopyRow) -> str:
    try:
        return _DOES[DomainState(copy.state)]
    except ValueError:
        return f"is in a state that this release does not know ({copy.state!r})"


def _elsewhere(sides: Sides) -> Sequence[str]:
    home = sides.record.host if sides.record is not None and not sides.record.deleted else None
    return [_copy(sides, copy) for copy in sides.copies if copy.host != home]


def _copy(sides: Sides, copy: CopyRow) -> str:
    said = f"{copy.host} said {copy.age_s:.0f} s ago that a copy {_does(copy)} there"
    if not copy.believed:
        return f"{said}; that host was never given the instance, and is not believed."
    view = sides.views.get(copy.host)
    if view is not None and view.fenced:
        return f"{said}; the host is silent and fenced since, so that it does not run."
    if not sides.heard(copy.host):
        return f"{said}; the host is silent since, and it may run."
    return f"{said}." if copy.state in LIVE else f"{said}; it does not run."


def _of_operations(sides: Sides) -> Sequence[str]:
    return [
        f"The {operation.kind} is in its phase {operation.phase} and waits: {operation.waiting}. "
        f"`migrator timeline {operation.uuid}` has what happened."
        if operation.waiting
        else f"Follow the {operation.kind} with `migrator timeline {operation.uuid}`."
        for operation in sides.operations
        if operation.phase != VERIFY
    ]


def _of_record(record: InstanceRow | None) -> Sequence[str]:
    if record is None or record.deleted:
        return ()
    if record.vm_state == "resized":
        name = record.uuid
        return (f"Let the move stand with `migrator resize-confirm {name}`, or take it back with `resize-revert`.",)
    return ()
