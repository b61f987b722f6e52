"""The bodies of ``/agent/v1``."""

from pydantic import Field

from migrator.protocol.assignments import Assignment
from migrator.protocol.base import Key, Message, Number, Seal
from migrator.protocol.facts import Fact
from migrator.protocol.words import DomainState


class Copy(Message):
    """One domain that a host holds, for the audit of record against reality."""

    uuid: Key
    state: DomainState
    stamp_operation: Key | None = None  # who defined, started or moved it last, by its metadata; None: nobody says
    stamp_epoch: Number | None = None
    seal: Seal = ""  # which shows that a server issued that stamp


class Poll(Message):
    """The body of a long-poll: POST /agent/v1/hosts/{name}/poll."""

    incarnation: Number
    number: Number = 0  # of this poll; the answer repeats it, and an answer to an older poll is thrown away
    seen: str = ""  # digest of the last assignments received
    wait_s: float = Field(default=25.0, ge=0, le=55)
    copies: tuple[Copy, ...] | None = None


class Assignments(Message):
    """The answer to a poll: the full set, never a difference."""

    digest: str
    assignments: tuple[Assignment, ...]
    answers: int = 0  # the poll's number


class Facts(Message):
    """POST /agent/v1/hosts/{name}/facts."""

    facts: tuple[Fact, ...]
