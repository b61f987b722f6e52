"""The verbs of drains as processes, against a running server with simulated hosts."""

import pytest

from tests.cli.verbs import ok
from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_a_host_is_drained_shown_and_restored(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    planned = cloud.migrator("drain", source, "--dry-run", "--json").json
    assert [move["way"] for move in planned["moves"] if move["name"] == vm] == ["live"]
    done = ok(cloud.migrator("drain", source, "--reason", "new fan", "--at-most", "1", "--poll"))
    assert f"begun: {vm}: live to" in done
    assert cloud.state(vm)[1] != source
    listed = cloud.migrator("drain-list", "--all", "--host", source, "--json").json
    assert (listed[0]["state"], listed[0]["reason"]) == ("completed", "new fan")
    uuid = listed[0]["uuid"]
    assert vm in ok(cloud.migrator("drain-show", uuid))
    for verb in ("drain-pause", "drain-resume", "drain-cancel"):
        word = verb.removeprefix("drain-")
        assert f"cannot {word}: it is completed" in cloud.migrator(verb, uuid).err
    ok(cloud.migrator("restore", source, "--poll"))
    assert cloud.state(vm)[1] == source


def test_options_that_say_nothing_are_refused(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    late = cloud.migrator("drain", source, "--deadline", "soon")
    assert late.code == 1
    assert "--deadline soon is no duration" in late.err
    assert "strategies" in cloud.migrator("drain", source, "--strategy", "leave,live").err
    for verb in ("drain", "host-servers-migrate"):
        assert "Host nosuch is not registered" in cloud.migrator(verb, "nosuch").err


def test_novas_helper_runs_on_the_server_and_leaves_the_host_open(cloud: Cloud, vm: str) -> None:
    _, source = cloud.state(vm)
    moved = ok(cloud.migrator("host-evacuate-live", source, "--poll"))
    assert "Live Migration Accepted" in moved
    assert cloud.state(vm)[1] != source
    (service,) = [row for row in cloud.migrator("service-list", "--json").json if row["host"] == source]
    assert service["status"] == "enabled"


def test_the_loss_of_a_host_is_told_beforehand(cloud: Cloud, vm: str) -> None:
    _, host = cloud.state(vm)
    lost = cloud.migrator("what-if", "--lose", host)
    assert (lost.code, "stays down" in lost.out) == (1, True)  # its disk is there and nowhere else
    assert cloud.migrator("what-if", "--lose", f"{host},{host}").code == 1
    assert "--lose names no host" in cloud.migrator("what-if", "--lose", " , ").err
    anew = cloud.migrator("capacity", "--discard-local-disks", "--json").json
    assert (anew["survives"], anew["combinations"]) == (True, anew["hosts"])
    assert "none would be left" in cloud.migrator("capacity", "--lose", str(anew["hosts"])).err
    assert cloud.state(vm)[1] == host
