"""The verbs of cold migrations and resizes as processes, against a running server with simulated hosts."""

import re
from collections.abc import Iterator

import pytest

from tests.cli.verbs import ok
from tests.clients.conftest import HOSTS, Cloud

pytestmark = pytest.mark.clients


def percents(text: str, doing: str) -> list[int]:
    return [int(found) for found in re.findall(rf"^Server {doing}\.\.\. (\d+)% complete", text, re.M)]


@pytest.mark.parametrize("vm", ["3"], indirect=True)
def test_migrate_and_confirm(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    moved = ok(cloud.migrator("migrate", vm, "--poll"))
    seen = percents(moved, "migrating")
    assert (seen[0], seen[-1], seen) == (0, 100, sorted(seen))
    assert [percent for percent in seen if 0 < percent < 100], "real percentages"
    assert moved.endswith("Server migrating... 100% complete\nFinished\n")
    status, destination = cloud.state(vm)
    assert status == "VERIFY_RESIZE"
    assert destination != source
    assert ok(cloud.migrator("resize-confirm", vm)) == ""
    cloud.until("ACTIVE", lambda: cloud.state(vm) == ("ACTIVE", destination))
    cloud.until("confirmed", lambda: cloud.migrations(vm)[0]["status"] == "confirmed")
    (move,) = cloud.migrations(vm)
    assert (move["migration_type"], move["source_compute"], move["dest_compute"]) == ("migration", source, destination)
    messages = [event["message"] for event in cloud.migrator("timeline", str(move["id"]), "--json").json["events"]]
    assert "depart" in messages
    assert not [message for message in messages if message.endswith("-")], "each says what is done"


def test_migrate_to_a_host_and_back(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    destination = next(host for host in HOSTS if host != before[1])
    ok(cloud.migrator("stop", vm, "--poll"))
    assert ok(cloud.migrator("migrate", vm, "--host", destination)) == ""
    cloud.until("VERIFY_RESIZE", lambda: cloud.state(vm) == ("VERIFY_RESIZE", destination))
    assert cloud.server(vm)["OS-EXT-STS:power_state"] == 4, "it was stopped, and is"
    assert ok(cloud.migrator("resize-revert", vm)) == ""
    cloud.until("SHUTOFF", lambda: cloud.state(vm) == ("SHUTOFF", before[1]))
    again = cloud.migrator("resize-revert", vm)
    assert again.code == 1
    assert "Cannot 'revertResize' instance" in again.err


def test_resize_and_revert(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    moved = ok(cloud.migrator("resize", vm, "m1.disk", "--poll"))
    assert percents(moved, "resizing")[-1] == 100
    assert moved.endswith("\nFinished\n")
    assert cloud.server(vm)["flavor"]["original_name"] == "m1.disk"
    ok(cloud.migrator("resize-revert", vm))
    cloud.until("back", lambda: cloud.state(vm) == ("ACTIVE", source))
    assert cloud.server(vm)["flavor"]["original_name"] == "m1.nano"


def test_a_migration_that_fails_says_so(cloud: Cloud, vm: str) -> None:
    before = cloud.state(vm)
    with cloud.disabled(*(host for host in HOSTS if host != before[1])):
        failed = cloud.migrator("migrate", vm, "--poll")
    assert failed.code == 1
    assert failed.out.endswith("\nError migrating server\n")
    reason = failed.err.removeprefix("Failed: ").strip()
    assert re.search(r"n\d", reason), "the reason names the hosts"
    told = ok(cloud.migrator("timeline", str(cloud.migrations(vm)[0]["id"])))
    assert f"\nerror: {reason}\n" in told, "in words"
    assert cloud.state(vm) == before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("migrate", "{vm}", "--host", "nosuch"), "Compute host nosuch could not be found."),
        (("migrate", "{vm}", "--host", "{host}"), "Cannot migrate to the host where the server exists."),
        (("resize", "{vm}", "m1.nano"), "When resizing, instances must change flavor!"),
        (("resize", "{vm}", "nosuch"), "no flavor has the name or id nosuch"),
        (("resize-confirm", "{vm}"), "Cannot 'confirmResize' instance"),
        (("evacuate", "{vm}", "--discard-local-disks"), "Compute service of {host} is still in use."),
    ],
)
def test_refusals(cloud: Cloud, standing: tuple[str, str], line: tuple[str, ...], expected: str) -> None:
    vm, host = standing
    refused = cloud.migrator(*(word.format(vm=vm, host=host) for word in line))
    assert (refused.code, refused.out) == (1, "")
    assert expected.format(host=host) in refused.err
    assert len(refused.err.splitlines()) == 1
    assert cloud.state(vm) == ("ACTIVE", host)


@pytest.fixture(scope="module")
def standing(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """(name, host) of a server that nothing here changes."""
    yield "standing", cloud.boot("standing")
    cloud.delete("standing")
