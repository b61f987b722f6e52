"""The bodies of ``/agent/v1``."""

from typing import Annotated, Any

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from migrator.protocol.assignments import Assignment
from migrator.protocol.base import Age, BootId, Count, HostName, Incarnation, Key, MachineId, Message, Number, Seal
from migrator.protocol.facts import Fact
from migrator.protocol.hosts import HostReport
from migrator.protocol.items import (
    UnreadableAssignment,
    UnreadableFact,
    assignments_apart,
    copies_apart,
    facts_apart,
)
from migrator.protocol.versions import UNSAID
from migrator.protocol.vocabulary import DomainState

WORKING_MAX = 10_000  # instances that one host works on at once; more are not told of


class Registration(Message):
    """PUT /agent/v1/hosts/{name}: at each start of the agent, and whenever the description changes."""

    incarnation: Incarnation
    machine: MachineId = ""
    report: HostReport


class Joined(Message):
    """The answer to POST /agent/v1/join, which a host asks with its join token in place of a credential."""

    host: HostName
    token: Annotated[str, Field(min_length=1, max_length=200)] = Field(repr=False)


class DomainEntry(Message):
    """One domain that a host holds, for the audit of record against reality."""

    uuid: Key
    state: DomainState
    served: Number = 0  # serial of the newest operation that this host served for the instance; 0: none that is known
    stamp_operation: Key | None = None  # the operation that defined, started or moved it last, by its metadata
    stamp_epoch: Number | None = None
    seal: Seal = ""  # which shows that a server issued that stamp
    failed: bool = False  # it is shut off, for its guest or its process failed


class Poll(Message):
    """The body of a long-poll: POST /agent/v1/hosts/{name}/poll."""

    incarnation: Incarnation
    machine: MachineId = ""  # that the agent runs on; must be the one that registered the host
    boot: BootId = ""  # of that machine, a new one each time it starts; "": not told
    protocol: Count = UNSAID  # that the agent speaks
    number: Number = 0  # of this poll; the answer repeats it, and an answer to an older poll is thrown away
    seen: str = ""  # digest of the last assignments received
    wait_s: float = Field(default=25.0, ge=0, le=55)
    # Instances that the agent holds an assignment of, or of which a step has not returned; None: it does not tell
    working: Annotated[tuple[Key, ...], Field(max_length=WORKING_MAX)] | None = None
    copies: tuple[DomainEntry, ...] | None = None
    complete: SkipJsonSchema[bool] = Field(True, exclude=True)  # False: the receiver knows the state of some copies not

    @model_validator(mode="before")
    @classmethod
    def _known_states(cls, data: Any) -> Any:
        return copies_apart(data)


class Assignments(Message):
    """The answer to a poll: the full set, never a difference. ``survey_within_s``: an agent whose first survey is due
    makes it at a moment of its own within so long. ``unreadable``: what its receiver does not understand."""

    digest: str
    assignments: tuple[Assignment, ...]
    answers: int = 0  # the poll's number
    survey_within_s: Age = 0.0
    protocol: Count = UNSAID  # that the server speaks
    unreadable: SkipJsonSchema[tuple[UnreadableAssignment, ...]] = Field((), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _each_alone(cls, data: Any) -> Any:
        return assignments_apart(data)


class Facts(Message):
    """POST /agent/v1/hosts/{name}/facts. ``unreadable``: what its receiver does not understand."""

    machine: MachineId = ""
    facts: tuple[Fact, ...]
    unreadable: SkipJsonSchema[tuple[UnreadableFact, ...]] = Field((), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _each_alone(cls, data: Any) -> Any:
        return facts_apart(data)
