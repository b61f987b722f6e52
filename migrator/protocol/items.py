"""Lists of which each item stands alone: one that cannot be read takes no other with it.

Owns how an unreadable assignment or fact is told apart from the readable ones, and why it could not be read. Never
decides what becomes of it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from migrator.protocol.assignments import Assignment
from migrator.protocol.base import Count, Incarnation, Key, Message, PhaseName, Sequence
from migrator.protocol.bounds import ITEMS_MAX
from migrator.protocol.facts import Fact
from migrator.protocol.vocabulary import DomainState, Ensure

_REASON_MAX = 500


class UnreadableAssignment(Message):
    """An assignment that this agent does not understand. Its operation, epoch and phase are known, so that the agent
    can answer."""

    operation_id: Key
    epoch: Count
    phase: PhaseName
    reason: str = ""


class UnreadableFact(Message):
    """A fact that this server does not understand. It counts as a report with a problem."""

    operation_id: Key
    epoch: Count
    phase: PhaseName
    incarnation: Incarnation
    sequence: Sequence
    reason: str = ""


Unreadable = TypeVar("Unreadable", UnreadableAssignment, UnreadableFact)


def assignments_apart(data: Any) -> Any:
    """``data`` of a set of assignments, with the unreadable ones apart."""
    return _apart(data, "assignments", Assignment, UnreadableAssignment)


def facts_apart(data: Any) -> Any:
    """``data`` of a report, with the unreadable facts apart."""
    return _apart(data, "facts", Fact, UnreadableFact)


def copies_apart(data: Any) -> Any:
    """``data`` of a poll, with the copies alone whose state this version knows, and whether these are all of them."""
    copies: Any = data.get("copies") if isinstance(data, Mapping) else None
    if not _is_list(copies):
        return data
    known = [state.value for state in DomainState]
    kept = tuple(copy for copy in copies if not isinstance(copy, Mapping) or copy.get("state") in known)
    return {**data, "copies": kept, "complete": len(kept) == len(copies)}


def _apart(data: Any, name: str, kind: type[Assignment] | type[Fact], other: type[Unreadable]) -> Any:
    if not isinstance(data, Mapping) or not _is_list(data.get(name)):
        return data  # which is refused as it is
    items: list[BaseModel] = []
    told: Any = data.get("unreadable")
    unreadable = [item for item in told if isinstance(item, other)] if _is_list(told) else []
    for value in data[name]:
        if not isinstance(value, Mapping | kind):
            continue
        try:
            items.append(value if isinstance(value, kind) else kind.model_validate(value))
        except ValidationError as error:
            found = _unreadable(other, value, error)
            unreadable += [found] if found is not None else []
    return {**data, name: items, "unreadable": unreadable}


def _is_list(value: Any) -> bool:
    """One of a length that a message may have: no item of a longer one is looked at."""
    return isinstance(value, list | tuple) and len(value) <= ITEMS_MAX


def _unreadable(kind: type[Unreadable], value: Any, error: ValidationError) -> Unreadable | None:
    """None for an item that does not even say which operation it is about: no operation can be answered."""
    if not isinstance(value, Mapping) or not kind.model_fields.keys() - {"reason"} <= value.keys():
        return None
    reason = _fact_reason(error) if kind is UnreadableFact else _assignment_reason(value, error)
    try:
        fields = {name: value[name] for name in kind.model_fields if name != "reason"}
        return kind.model_validate(fields | {"reason": reason[:_REASON_MAX].replace("\x00", "")})
    except ValidationError:
        return None


def _fact_reason(error: ValidationError) -> str:
    return f"this server cannot read the host's report ({_first(error)}); it may be older than the agent"


def _assignment_reason(value: Any, error: ValidationError) -> str:
    wanted = value.get("ensure") if isinstance(value, Mapping) else None
    if isinstance(wanted, str) and wanted not in set(Ensure):
        return f"unknown assignment {wanted!r}: this agent is older than the server; upgrade it"
    return f"this agent cannot read the assignment ({_first(error)}); it may be older than the server"


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
