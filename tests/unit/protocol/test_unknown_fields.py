"""Fields that this version does not know change nothing, on either side, wherever in a message they are."""

from collections.abc import Iterator
from typing import Any

import pytest

from migrator.protocol import (
    Assignment,
    Assignments,
    DiskSpec,
    DomainEntry,
    DomainFact,
    DomainState,
    Ensure,
    Fact,
    Facts,
    HostReport,
    InstanceSpec,
    Message,
    Peer,
    Poll,
    Questions,
    Registration,
    Role,
    StoragePool,
    Survey,
)

UUID = "0d5b6c1e-7f5a-4c53-8a55-0f8b6b1d2a11"
POOL = StoragePool(identity="one", path="/pool", total_gb=10, free_gb=5)
REPORT = HostReport(
    vcpus=4,
    memory_mb=4096,
    address="10.0.0.1",
    live_migration_uri="qemu+tcp://10.0.0.1/system",
    storage={"local": POOL},
)
FACT = Fact(
    operation_id=UUID, epoch=1, phase="check", incarnation=1, sequence=1, domain=DomainFact(state=DomainState.RUNNING)
)
SPEC = InstanceSpec(
    uuid=UUID, name="vm", vcpus=1, memory_mb=64, disks=(DiskSpec(target="vda", pool="local", size_gb=1),)
)
ASSIGNMENT = Assignment(
    operation_id=UUID,
    kind="build",
    epoch=1,
    generation=1,
    phase="start",
    forward=True,
    role=Role.DESTINATION,
    ensure=Ensure.RUNNING,
    instance=SPEC,
)
MESSAGES: tuple[Message, ...] = (
    Registration(incarnation=1, report=REPORT),
    Poll(incarnation=1, copies=(DomainEntry(uuid=UUID, state=DomainState.RUNNING),)),
    Facts(facts=(FACT,)),
    Survey(),
    Assignments(digest="one", assignments=(ASSIGNMENT,)),
    Questions(now=1.0, next_survey_s=1.0, peers=(Peer(name="n2", uri="qemu+tcp://n2/system"),)),
)


def every_kind(kind: type[Message] = Message) -> Iterator[type[Message]]:
    for child in kind.__subclasses__():
        yield child
        yield from every_kind(child)


def with_more(message: Any) -> Any:
    """As JSON, with a field more in each part that is a message of its own."""
    if isinstance(message, Message):
        fields = type(message).model_fields
        parts = {field.alias or name: with_more(getattr(message, name)) for name, field in fields.items()}
        plain = message.model_dump(mode="json")
        return {name: parts[name] for name in plain} | {"of_a_later_release": {"a": [1]}}
    if isinstance(message, dict):
        return {name: with_more(value) for name, value in message.items()}
    return [with_more(item) for item in message] if isinstance(message, tuple | list) else message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_with_fields_of_a_later_release_means_the_same(message: Message) -> None:
    told = with_more(message)
    assert str(told).count("of_a_later_release") >= 1
    assert type(message).model_validate(told) == message


def test_no_message_refuses_a_field_that_it_does_not_know() -> None:
    kinds = set(every_kind())
    assert len(kinds) > 30
    assert {kind.__name__ for kind in kinds if kind.model_config.get("extra") != "ignore"} == set()
