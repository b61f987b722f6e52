"""python-novaclient and python-openstackclient migrate cold, resize, confirm, revert and evacuate."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.clients.conftest import HOSTS, Cloud, Ran

pytestmark = pytest.mark.clients


def ok(ran: Ran) -> str:
    assert ran.code == 0, ran.out + ran.err
    return ran.out


def newest(cloud: Cloud, name: str) -> tuple[str, str]:
    move = cloud.migrations(name)[0]
    return move["migration_type"], move["status"]


def until_newest(cloud: Cloud, name: str, expected: tuple[str, str]) -> None:
    cloud.until(" ".join(expected), lambda: newest(cloud, name) == expected)


@pytest.fixture
def lost(cloud: Cloud) -> Iterator[str]:
    """A host with no power that was forced down, and on it "ran-0" and "ran-1"; it returns afterwards."""
    for name in ("ran-0", "ran-1"):
        cloud.boot(name, host="n1")
    cloud.hosts.power_off("n1")
    yield "n1"
    cloud.hosts.power_on("n1")
    cloud.until("n1 owes nothing", lambda: not _owed(cloud))
    assert cloud.force_down("n1", False).status_code == 200
    cloud.delete("ran-0", "ran-1")


def _owed(cloud: Cloud) -> list[object]:
    found = cloud.get("/os-migrations?migration_type=evacuation&source_compute=n1&status=done")["migrations"]
    assert isinstance(found, list)
    return found


def test_nova_migrates_and_resizes(cloud: Cloud) -> None:
    source = cloud.boot("cold-nova", "3")
    moved = ok(cloud.nova("migrate", "--poll", "cold-nova"))
    assert "Server migrating... 100% complete" in moved
    assert "Finished" in moved
    status, destination = cloud.state("cold-nova")
    assert (status, destination == source) == ("VERIFY_RESIZE", False)
    ok(cloud.nova("resize-confirm", "cold-nova"))
    until_newest(cloud, "cold-nova", ("migration", "confirmed"))
    assert cloud.state("cold-nova") == ("ACTIVE", destination)
    same = cloud.nova("resize", "cold-nova", "m1.disk")
    assert same.code != 0
    assert "When resizing, instances must change flavor!" in same.err
    grown = {"name": "m1.grown", "id": "grown", "vcpus": 2, "ram": 64, "disk": 11}
    assert cloud.post("/flavors", {"flavor": grown}).status_code == 200
    assert "Finished" in ok(cloud.nova("resize", "--poll", "cold-nova", "m1.grown"))
    assert cloud.server("cold-nova")["flavor"]["original_name"] == "m1.grown"
    ok(cloud.nova("resize-revert", "cold-nova"))
    until_newest(cloud, "cold-nova", ("resize", "reverted"))
    assert cloud.state("cold-nova") == ("ACTIVE", destination)
    assert cloud.server("cold-nova")["flavor"]["original_name"] == "m1.disk"
    nothing = cloud.nova("resize-confirm", "cold-nova")
    assert "Cannot 'confirmResize' instance" in nothing.err
    actions = ok(cloud.nova("instance-action-list", "cold-nova"))
    for word in ("create", "migrate", "resize", "confirmResize", "revertResize"):
        assert f"| {word} " in actions
    cloud.delete("cold-nova")


def test_nova_suspends_and_names_a_host(cloud: Cloud) -> None:
    source = cloud.boot("still-nova")
    target = next(host for host in HOSTS if host != source)
    ok(cloud.nova("suspend", "still-nova"))
    cloud.until("SUSPENDED", lambda: cloud.state("still-nova")[0] == "SUSPENDED")
    ok(cloud.nova("resume", "still-nova"))
    cloud.until("ACTIVE", lambda: cloud.state("still-nova")[0] == "ACTIVE")
    for host, message in (
        ("nosuch", "Compute host nosuch could not be found."),
        (source, "Cannot migrate to the host where the server exists."),
    ):
        refused = cloud.nova("migrate", "--host", host, "still-nova")
        assert refused.code != 0
        assert message in refused.err
    ok(cloud.nova("migrate", "--host", target, "--poll", "still-nova"))
    assert cloud.state("still-nova") == ("VERIFY_RESIZE", target)
    ok(cloud.nova("resize-revert", "still-nova"))
    cloud.until("back", lambda: cloud.state("still-nova") == ("ACTIVE", source))
    cloud.delete("still-nova")


def test_openstack_migrates_and_resizes(cloud: Cloud) -> None:
    source = cloud.boot("cold-osc")
    assert "Complete" in ok(cloud.openstack("server", "migrate", "--wait", "cold-osc"))
    ok(cloud.openstack("server", "migration", "revert", "cold-osc"))
    until_newest(cloud, "cold-osc", ("migration", "reverted"))
    assert cloud.state("cold-osc") == ("ACTIVE", source)
    target = next(host for host in HOSTS if host != source)
    ok(cloud.openstack("server", "migrate", "--host", target, "--wait", "cold-osc"))
    ok(cloud.openstack("server", "migration", "confirm", "cold-osc"))
    until_newest(cloud, "cold-osc", ("migration", "confirmed"))
    assert cloud.state("cold-osc") == ("ACTIVE", target)
    for verb, flavor, status in (("revert", "m1.nano", "reverted"), ("confirm", "m1.disk", "confirmed")):
        assert "Complete" in ok(cloud.openstack("server", "resize", "--flavor", "m1.disk", "--wait", "cold-osc"))
        ok(cloud.openstack("server", "resize", verb, "cold-osc"))
        until_newest(cloud, "cold-osc", ("resize", status))
        cloud.until("ACTIVE", lambda: cloud.state("cold-osc")[0] == "ACTIVE")
        assert cloud.server("cold-osc")["flavor"]["original_name"] == flavor
    cloud.delete("cold-osc")


def once_silent(cloud: Cloud, evacuate: Callable[[], Ran]) -> str:
    """What the client says when its evacuation is taken: a host that spoke a moment ago is not lost yet."""

    def taken() -> Ran | None:
        ran = evacuate()
        assert ran.code == 0 or "is still in use" in ran.err, ran.out + ran.err
        return ran if ran.code == 0 else None

    return str(cloud.until("the lost host to be silent", taken, 60).out)


def test_nova_evacuates(cloud: Cloud, lost: str) -> None:
    up = cloud.nova("evacuate", "ran-0")
    assert up.code != 0
    assert f"Compute service of {lost} is still in use." in up.err
    (service,) = cloud.get(f"/os-services?host={lost}")["services"]
    assert "True" in ok(cloud.nova("service-force-down", service["id"]))
    itself = cloud.nova("evacuate", "ran-0", lost)
    assert "The target host can't be the same one." in itself.err
    older = ("--os-compute-api-version", "2.13", "evacuate", "--password", "s3cret", "ran-0", "n2")
    given = once_silent(cloud, partial(cloud.nova, *older))
    assert "adminPass" in given
    assert "s3cret" in given
    ok(cloud.nova("evacuate", "ran-1"))
    cloud.until("it runs as it ran", lambda: cloud.state("ran-0") == ("ACTIVE", "n2"))
    cloud.until("it ends stopped, as 2.95 and later promise", lambda: cloud.state("ran-1")[0] == "SHUTOFF")
    assert cloud.state("ran-1")[1] != lost
    assert newest(cloud, "ran-1") == ("evacuation", "done")


def test_openstack_evacuates(cloud: Cloud, lost: str) -> None:
    service = ("compute", "service", "set")
    ok(cloud.openstack(*service, "--down", lost, "nova-compute"))
    older = ("--os-compute-api-version", "2.94")
    # not --wait: that compares "active" with "ACTIVE", and never returns
    once_silent(cloud, partial(cloud.openstack, *older, "server", "evacuate", "--host", "n3", "ran-0"))
    cloud.until("it runs as it ran", lambda: cloud.state("ran-0") == ("ACTIVE", "n3"))
    early = cloud.openstack(*service, "--up", lost, "nova-compute")
    assert early.code != 0
    assert "Failed to set service state to up" in early.err
    listed = cloud.openstack("server", "migration", "list", "--type", "evacuation", "--status", "done", "-f", "json")
    assert [line["Source Compute"] for line in listed.json] == [lost]
    cloud.hosts.power_on(lost)
    cloud.until("it has cleaned up", lambda: newest(cloud, "ran-0") == ("evacuation", "completed"))
    ok(cloud.openstack(*service, "--up", lost, "nova-compute"))
    (shown,) = cloud.get(f"/os-services?host={lost}")["services"]
    assert (shown["forced_down"], shown["state"]) == (False, "up")


@pytest.mark.parametrize("client", ["nova", "openstack"])
def test_a_paused_guest_moves_live_and_stays_paused(cloud: Cloud, client: str) -> None:
    name = f"rest-{client}"
    source = cloud.boot(name)
    target = next(host for host in HOSTS if host != source)
    ask = cloud.nova if client == "nova" else partial(cloud.openstack, "server")
    ok(ask("pause", name))
    cloud.until("PAUSED", lambda: cloud.state(name) == ("PAUSED", source))
    if client == "nova":
        ok(cloud.nova("live-migration", name, target))
    else:
        ok(cloud.openstack("server", "migrate", "--live-migration", "--host", target, name))
    cloud.until("there", lambda: cloud.state(name) == ("PAUSED", target))
    until_newest(cloud, name, ("live-migration", "completed"))
    ok(ask("unpause", name))
    cloud.until("ACTIVE", lambda: cloud.state(name) == ("ACTIVE", target))
    cloud.delete(name)
