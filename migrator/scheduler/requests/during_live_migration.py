"""What may be asked of an instance while it is live-migrated: a table, and the sentence of a refusal.

Never acts: ``scheduler/requests/requests.py`` asks it, ``tests/api/test_during_live_migration.py`` holds the whole API
against it, and ``docs/operations.md`` is drawn from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from migrator.db.rows import OperationRow
from migrator.operations import OPERATIONS, Kind


class Answer(StrEnum):
    DONE = "done at once"
    CANCELS = "the migration is cancelled, then it is done"
    REFUSED = "409"


@dataclass(frozen=True, slots=True)
class ActionRule:
    """``name``: the action as the API calls it, or what a request does. ``kind``: of the operation it would begin."""

    name: str
    answer: Answer
    why: str
    kind: Kind | None = None


_RECORD = "changes the record only, and the record moves with the guest"
_CUT_OFF = "would stop the guest between its two hosts"
_PAUSED = "a guest that is paused now would run on where it arrives; to let it stand still, force the end"
_ONE = "one move at a time"
_NOT_IT = "the instance runs, so there is nothing to do"

DURING_LIVE_MIGRATION = (
    ActionRule("show", Answer.DONE, "changes nothing; so do all lists"),
    ActionRule("rename", Answer.DONE, _RECORD),
    ActionRule("metadata", Answer.DONE, _RECORD),
    ActionRule("tags", Answer.DONE, _RECORD),
    ActionRule("lock", Answer.DONE, _RECORD),
    ActionRule("unlock", Answer.DONE, _RECORD),
    ActionRule("os-getConsoleOutput", Answer.DONE, "changes nothing; both hosts' parts are there"),
    ActionRule("steer", Answer.DONE, "bandwidth, permitted downtime, hold, post-copy: while the transfer runs"),
    ActionRule("force_complete", Answer.DONE, "while the transfer runs"),
    ActionRule("abort", Answer.DONE, "until the guest has moved; after post-copy has begun it has"),
    ActionRule("delete", Answer.CANCELS, "where the guest has moved already, the migration ends first", Kind.DELETE),
    ActionRule("os-start", Answer.REFUSED, _NOT_IT, Kind.START),
    ActionRule("os-stop", Answer.REFUSED, _CUT_OFF, Kind.STOP),
    ActionRule("reboot", Answer.REFUSED, _CUT_OFF, Kind.REBOOT),
    ActionRule("suspend", Answer.REFUSED, _CUT_OFF, Kind.SUSPEND),
    ActionRule("resume", Answer.REFUSED, _NOT_IT, Kind.RESUME),
    ActionRule("pause", Answer.REFUSED, _PAUSED, Kind.PAUSE),
    ActionRule("unpause", Answer.REFUSED, "a paused guest arrives paused, and may go on there", Kind.UNPAUSE),
    ActionRule("os-migrateLive", Answer.REFUSED, _ONE, Kind.LIVE_MIGRATION),
    ActionRule("migrate", Answer.REFUSED, _ONE, Kind.MIGRATION),
    ActionRule("resize", Answer.REFUSED, _ONE, Kind.RESIZE),
    ActionRule("evacuate", Answer.REFUSED, "its host's loss ends the migration first", Kind.EVACUATION),
    ActionRule("confirmResize", Answer.REFUSED, "nothing waits for that word"),
    ActionRule("revertResize", Answer.REFUSED, "nothing waits for that word"),
    ActionRule("os-resetState", Answer.REFUSED, "the migration says what state the instance is in when it ends"),
)
BY_KIND: Mapping[Kind, ActionRule] = {rule.kind: rule for rule in DURING_LIVE_MIGRATION if rule.kind is not None}


def advice(kind: Kind, active: OperationRow | None) -> str:
    """What is under way, why ``kind`` must wait for it, and what can be done; "" for what is no live migration."""
    if active is None or active.kind != Kind.LIVE_MIGRATION or kind not in BY_KIND:
        return ""
    return f"; migration {active.id} is {active.status}: {BY_KIND[kind].why}. {_way_out(active)}"


def _way_out(active: OperationRow) -> str:
    if not active.forward or active.cancel_requested:
        return "It is being undone: wait for its end"
    if OPERATIONS[Kind.LIVE_MIGRATION].reversible(active.phase):
        return "Wait for its end, or abort it, which post-copy rules out once it has begun"
    return "The guest has moved, so it cannot be aborted: wait for its end"
