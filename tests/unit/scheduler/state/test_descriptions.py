"""A host's description is parsed once, and anew when it changes."""

from types import SimpleNamespace
from typing import Any

from migrator.scheduler.state import host_views


def row(name: str, **told: Any) -> Any:
    return SimpleNamespace(
        name=name, report={"vcpus": 1, "memory_mb": 1, "address": "", "live_migration_uri": ""} | told
    )


def test_the_same_description_is_the_same_object_and_a_new_one_is_read() -> None:
    first, _ = host_views.report_of(row("parsed", address="10.0.0.1"))
    assert host_views.report_of(row("parsed", address="10.0.0.1"))[0] is first
    assert host_views.report_of(row("parsed", address="10.0.0.2"))[0].address == "10.0.0.2"


def test_a_host_that_tells_ever_new_descriptions_has_one_in_memory() -> None:
    host_views.report_of(row("restless"))
    before = len(host_views._parsed)
    for number in range(100):
        host_views.report_of(row("restless", vcpus=number))
    assert len(host_views._parsed) == before


def test_a_description_that_cannot_be_read_says_so_each_time() -> None:
    for _look in range(2):
        report, unreadable = host_views.report_of(row("broken", vcpus="many"))
        assert (report.vcpus, "cannot be read (vcpus)" in unreadable) == (0, True)
