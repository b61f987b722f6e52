"""Which word of an operator about the copies of an instance is refused: one that could let a second copy run.

Pure: the record and the copies side by side, and the word. Changes nothing; ``reconciliation.py`` takes the word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from migrator.db.host_domains import LIVE
from migrator.db.rows import CopyRow, InstanceRow, OperationRow
from migrator.errors import BadRequest, Conflict
from migrator.operations import OPERATIONS, End, Kind
from migrator.protocol import HARMLESS, DomainState
from migrator.scheduler.decision.assignments import asked
from migrator.scheduler.decision.snapshot import HostView
from migrator.scheduler.state import fencing

_NAMED = 5  # hosts, in a message


@dataclass(frozen=True, slots=True)
class Sides:
    """``record`` None: there is none. ``newer``: hosts whose copy has a stamp, or had an operation, that this database
    does not know. ``disputed``: why operations on the instance wait for the operator's word; "": they do not.
    ``at_work``: hosts beside such a dispute with a step that began before it and has not returned, and those that have
    not said since that they have none. ``unseen``: hosts that have not said which copies they have, and are not
    fenced."""

    uuid: str
    record: InstanceRow | None
    copies: Sequence[CopyRow]
    views: Mapping[str, HostView]
    operations: Sequence[OperationRow]  # active ones, the oldest first
    newer: frozenset[str]
    disputed: str = ""
    at_work: Sequence[str] = ()
    unseen: Sequence[str] = ()

    def copy_on(self, host: str | None) -> CopyRow | None:
        return next((copy for copy in self.copies if copy.host == host), None)

    def is_up(self, host: str) -> bool:
        return host in self.views and self.views[host].heard

    def told(self, host: str) -> bool:
        """Whether what the host has said of its copies is of now, and not of a backup."""
        return self.is_up(host) and self.views[host].listed


@dataclass(frozen=True, slots=True)
class Word:
    """``host`` has the right copy; None: the record stays. ``given_up``: what these hosts, which are lost, had of it
    counts no more. ``unproven``: also if nothing shows that a server ever gave it to the host."""

    host: str | None
    given_up: frozenset[str] = frozenset()
    unproven: bool = False


def refuse(sides: Sides, word: Word) -> None:
    """Raises BadRequest, Conflict unless the word can be taken. Pure."""
    if word.host is None and not word.given_up:
        raise BadRequest("Expected host, given_up, or both")
    if sides.record is None or sides.record.deleted:
        what = "was deleted" if sides.record is not None else "has no record"
        raise Conflict(
            f"Instance {sides.uuid} {what}: there is nothing that could be made to say where it is",
            advice="look at the guest on its host; if it is not needed, destroy and undefine it there with virsh",
        )
    for host in sorted(word.given_up):
        _refuse_to_give_up(sides, host)
    if word.host is None:
        return
    _refuse_choice(sides, word.host, unproven=word.unproven)
    others = {copy.host for copy in sides.copies if copy.believed} | {sides.record.host}
    for host in sorted(name for name in others - word.given_up - {word.host} if name):
        _refuse_second(sides, host)
    _refuse_unseen(sides, word)
    _refuse_unfinished(sides, word)
    for operation in sides.operations:
        if acting := _acting(sides, operation):
            raise Conflict(
                f"A {operation.kind} of the instance is under way ({operation.phase}): {', '.join(acting)} may be "
                "starting, stopping or copying it at this moment",
                advice="wait for its end, or cancel it; then say which copy is the right one",
            )
        if _transferring(operation):
            raise Conflict(
                f"A transfer of the instance is under way from {operation.source} to {operation.destination}",
                advice="abort it, or wait for its end",
            )


def _refuse_unseen(sides: Sides, word: Word) -> None:
    """A copy that runs is the only one, if any is. One that does not may be started by what follows, while a host that
    says nothing runs another that the record has lost."""
    copy = sides.copy_on(word.host)
    unseen = sorted(set(sides.unseen) - word.given_up - {word.host or ""})
    if copy is None or copy.state == DomainState.RUNNING or not unseen:
        return
    more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
    raise Conflict(
        f"The copy on {word.host} does not run ({copy.state}), and a host that has not said what it has may run the "
        f"instance: {', '.join(unseen[:_NAMED])}{more}",
        advice="bring it back, and its agent lists its guests; or, if it is lost, fence it "
        "(`migrator service-force-down`)",
    )


def _refuse_unfinished(sides: Sides, word: Word) -> None:
    """A step that hangs has its effect when it returns, whatever the record says then."""
    unfinished = sorted(host for host in set(sides.at_work) - word.given_up if sides.is_up(host))
    if unfinished:
        raise Conflict(
            f"A step of the instance that began before may still be under way on {', '.join(unfinished)}: what it does "
            "would come after this word",
            advice="ask again in a few seconds; if the step hangs, mend what it waits for (`migrator timeline`), or "
            "restart libvirt and the agent there, which ends it",
        )


def _refuse_to_give_up(sides: Sides, host: str) -> None:
    view = sides.views.get(host)
    if view is None:
        return  # the host is not known any more
    if view.heard:
        raise Conflict(
            f"Host {host} answers: what it has of the instance is not given up by a word",
            advice=f"destroy and undefine its copy there (virsh), and {host} will not report it any more",
        )
    if not view.fenced:
        raise Conflict(f"Host {host} is silent, but nothing says that its guests do not run. {fencing.wanted()}")


def _refuse_choice(sides: Sides, host: str, *, unproven: bool) -> None:
    copy = sides.copy_on(host)
    if copy is None:
        reporting = ", ".join(one.host for one in sides.copies) or "none does"
        raise Conflict(f"Host {host} reports no copy of the instance (hosts that do: {reporting})")
    if not sides.is_up(host):
        raise Conflict(
            f"Host {host} is silent: its word is {copy.age_s:.0f} s old", advice="bring its agent back first"
        )
    if not sides.told(host):
        raise Conflict(
            f"Host {host} has not listed its guests since the servers are back: its word is of before",
            advice="see that its hypervisor answers its agent, and ask again",
        )
    if copy.state == DomainState.INCOMING:
        raise Conflict(f"The copy on {host} is the receiving end of a transfer: it is no whole guest")
    if not copy.believed and not unproven:
        raise Conflict(
            f"Nothing shows that {host} was ever given the instance: it only says so",
            advice="look at the guest there, and say so with unproven (`--unproven`) if it is the right one",
        )


def _refuse_second(sides: Sides, host: str) -> None:
    """Another host that has, or may have, a copy that runs or may go on."""
    copy = sides.copy_on(host)
    if not sides.told(host):
        silent = "has not listed its guests since the servers are back" if sides.is_up(host) else "is silent"
        had = f"it reported one ({copy.state})" if copy is not None else "the record says that it is there"
        raise Conflict(
            f"Host {host} {silent}, and may have a copy, too: {had}",
            advice=f"bring it back; or, once it is fenced, name it as given up (`--given-up {host}`)",
        )
    if copy is not None and copy.state in LIVE:
        does = "runs" if copy.state == DomainState.RUNNING else f"is {copy.state}"
        raise Conflict(
            f"A copy of the instance {does} on {host}, too: with this word there would be two",
            advice=f"stop it there first: virsh destroy {sides.uuid}, on {host}",
        )


def _acting(sides: Sides, operation: OperationRow) -> list[str]:
    """Hosts that the operation asks for more than to look. Beside a dispute it asks none for anything."""
    if sides.disputed or not operation.locks_instance:
        return []
    wanted = sorted(asked(operation).items())
    return [host for host, (_, ensure) in wanted if ensure not in HARMLESS and sides.is_up(host)]


def _transferring(operation: OperationRow) -> bool:
    """Whether a transfer may be going on: libvirt's, which no word ends."""
    return operation.locks_instance and OPERATIONS[Kind(operation.kind)].phase(operation.phase).end is End.VERDICT
