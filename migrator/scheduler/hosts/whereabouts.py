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
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.hosts.reconciliation_rules import Sides
from migrator.scheduler.state.unseen_guests import LISTING_S


class LocationStatus(StrEnum):
    """``CERTAIN``: the host said so lately. ``MOVING``: an operation has it in hand. ``UNKNOWN``: no host can tell
    whether it runs. ``NOWHERE``: it runs on no host. ``ATTENTION``: an alarm is open."""

    CERTAIN = "certain"
    MOVING = "moving"
    UNKNOWN = "unknown"
    NOWHERE = "nowhere"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    status: LocationStatus
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
_NAMED = 5  # hosts, in a sentence
_Answer = tuple[LocationStatus, str, Sequence[str]]  # with what to do


def tell(sides: Sides, alarm_advice: Sequence[str]) -> Whereabouts:
    """``alarm_advice``: of each open alarm about the instance."""
    standing, summary, advice = _where(sides)
    if sides.operations and standing in (LocationStatus.CERTAIN, LocationStatus.NOWHERE):
        standing = LocationStatus.MOVING
    if alarm_advice:
        standing = LocationStatus.ATTENTION
    told = [*alarm_advice, *advice, *_of_operations(sides), *_of_record(sides.record)]
    return Whereabouts(standing, summary, _elsewhere(sides), tuple(dict.fromkeys(told)) or (_NOTHING,))


def _where(sides: Sides) -> _Answer:
    record = sides.record
    if record is None or record.deleted:
        return _without_record(sides)
    if record.host is None:
        return LocationStatus.NOWHERE, "It is on no host yet.", ()
    return _on_host(sides, record, record.host)


def _without_record(sides: Sides) -> _Answer:
    what = "It is deleted" if sides.record is not None else "No record has it"
    holders = ", ".join(sorted(copy.host for copy in sides.copies))
    if not holders:
        return LocationStatus.NOWHERE, f"{what}, and no host reports a copy of it.", ()
    return LocationStatus.UNKNOWN, f"{what}, but there is still a copy of it on {holders}.", ()


def _on_host(sides: Sides, record: InstanceRow, host: str) -> _Answer:
    view, copy = sides.views.get(host), sides.copy_on(host)
    if view is None:
        return LocationStatus.UNKNOWN, f"The record has it on {host}, a host that is not known any more.", ()
    if view.fenced:
        evacuate = () if sides.operations else (f"Bring it back on another host: `migrator evacuate {record.uuid}`.",)
        return _nowhere(sides, f"its host {host} is silent and fenced ({view.evidence})", evacuate)
    last = f"It was last reported there as {copy.state}" if copy is not None else "Nothing was reported of it there"
    if not view.heard:
        return LocationStatus.UNKNOWN, f"{_silence(view)} {last}, and it may still run.", _about_silent(view, record)
    if not view.listed:
        wait = f"Wait a few seconds: {host} answers, and has not listed its guests since the servers came back."
        return LocationStatus.UNKNOWN, f"Its host {host} answers, and has not listed its guests yet. {last}.", (wait,)
    if copy is None or not copy.believed:
        return _without_copy(sides, record, view)
    if copy.age_s > LISTING_S:
        look = f"Look at {host}: its agent answers, and its hypervisor may not (`virsh list` there)."
        return (
            LocationStatus.UNKNOWN,
            f"{last} {copy.age_s:.0f} s ago, and no list of {host}'s guests came since.",
            (look,),
        )
    return LocationStatus.CERTAIN, f"It {_does(copy)} on {host}, which said so {copy.age_s:.0f} s ago.", ()


def _silence(view: HostView) -> str:
    if view.awaited:
        return f"The servers came back a moment ago, and its host {view.name} has not spoken yet."
    return f"Its host {view.name} has been silent for {view.silent_s:.0f} s."


def _about_silent(view: HostView, record: InstanceRow) -> Sequence[str]:
    if view.awaited:
        return (f"Wait a few seconds for {view.name}.",)
    bring = f"Bring {view.name} back. If that cannot be, switch it off, say so with"
    return (f"{bring} `migrator service-force-down {view.name}`, and then `migrator evacuate {record.uuid}`.",)


def _without_copy(sides: Sides, record: InstanceRow, view: HostView) -> _Answer:
    age_s = view.now - (record.updated_at or record.created_at)
    if age_s < QUIET_S:
        said = f"It is {record.vm_state} on {view.name} by its record of {max(0.0, age_s):.0f} s ago"
        return LocationStatus.CERTAIN, f"{said}; the host's next list of its guests is awaited.", ()
    return _nowhere(sides, f"its host {view.name} answers, and has no copy of it", ())


def _nowhere(sides: Sides, why: str, advice: Sequence[str]) -> _Answer:
    """It runs nowhere, unless another host says that it does, or has not said what it runs."""
    running = sorted(copy.host for copy in sides.copies if _may_run(sides, copy))
    if running:
        return LocationStatus.UNKNOWN, f"{_capital(why)}; but a copy of it is on {', '.join(running)}.", ()
    home = sides.record.host if sides.record is not None else None
    if unseen := sorted(set(sides.unseen) - {home}):
        names = ", ".join(unseen[:_NAMED]) + (f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else "")
        bring = f"Bring {names} back, or fence what is lost: a host that has not listed its guests may run it."
        return (
            LocationStatus.UNKNOWN,
            f"{_capital(why)}; {names} has not said which guests it has, and may run it.",
            (bring,),
        )
    return LocationStatus.NOWHERE, f"It runs nowhere: {why}.", advice


def _may_run(sides: Sides, copy: CopyRow) -> bool:
    view = sides.views.get(copy.host)
    home = sides.record.host if sides.record is not None else None
    return copy.believed and copy.host != home and copy.state in LIVE and not (view is not None and view.fenced)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    if (changed_s := _changed_since_listing(sides, copy)) is not None:
        listing = f"{copy.host}'s last list of its guests, perhaps from before the record changed {changed_s:.0f} s ago"
        said = f"{listing}, says that a copy {_does(copy)} there"
    if not copy.believed:
        return f"{said}; that host was never given the instance, and is not believed."
    view = sides.views.get(copy.host)
    if view is not None and view.fenced:
        return f"{said}; the host is silent and fenced since, so that it does not run."
    if not sides.is_up(copy.host):
        return f"{said}; the host is silent since, and it may run."
    return f"{said}." if copy.state in LIVE else f"{said}; it does not run."


def _changed_since_listing(sides: Sides, copy: CopyRow) -> float | None:
    """How long ago the record changed, where the host may have made its list before: an agent lists its guests every
    10 s and tells with its next poll. None: the list is newer."""
    record = sides.record
    if record is None or record.updated_at is None or copy.seen_at - QUIET_S > record.updated_at:
        return None
    return max(0.0, copy.seen_at + copy.age_s - record.updated_at)


def _of_operations(sides: Sides) -> Sequence[str]:
    return [
        f"The {operation.kind} is in its phase {operation.phase} and waits: {operation.wait_reason}. "
        f"`migrator timeline {operation.uuid}` has what happened."
        if operation.wait_reason
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
