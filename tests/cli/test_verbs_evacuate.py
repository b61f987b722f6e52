"""The verb ``evacuate`` as a process, against a running server and a simulated host that loses its power."""

import json
import re

import pytest

from tests.cli.verbs import cells, ok, properties
from tests.clients.conftest import Cloud, Ran

pytestmark = pytest.mark.clients

SERVERS = ("ran", "stood", "given")


def statuses(cloud: Cloud, *names: str) -> set[str]:
    """Of the newest move of each server."""
    return {cloud.migrations(name)[0]["status"] for name in names}


def once_silent(cloud: Cloud, *arguments: str) -> str:
    """What `evacuate` prints once it is taken: a host that spoke a moment ago is not lost yet."""

    def taken() -> Ran | None:
        ran = cloud.migrator("evacuate", *arguments)
        assert ran.code == 0 or "is still in use" in ran.err, ran.out + ran.err
        return ran if ran.code == 0 else None

    return str(cloud.until("the lost host to be silent", taken, 60).out)


def evacuate_the_rest(cloud: Cloud) -> None:
    """Of n1, by the verb for a whole host."""
    assert "Compute service of n2 is still in use" in cloud.migrator("host-evacuate", "n2").err
    planned = cloud.migrator("host-evacuate", "n1", "--dry-run", "--to", "n2,n3", "--deadline", "2h")
    assert (planned.code, "allow it: discard_local_disks (--discard-local-disks)" in planned.out) == (1, True)
    more = ("--discard-local-disks", "--at-most", "1", "--reason", "power", "--poll")
    whole = ok(cloud.migrator("host-evacuate", "n1", *more))
    assert cells(whole) | {"Evacuate Accepted": "True", "State": "done"} == cells(whole)


def test_evacuate(cloud: Cloud) -> None:
    for name in SERVERS:
        cloud.boot(name, host="n1", config_drive=True)
    ok(cloud.migrator("stop", "stood", "--poll"))
    cloud.hosts.power_off("n1")
    try:
        local = "--discard-local-disks"
        refused = cloud.migrator("evacuate", "ran")
        assert refused.code == 1
        assert "vda: LOST with pool local of the host, made anew from image" in refused.err
        assert local in refused.err
        assert cloud.migrator("evacuate", "ran", local).code == 1
        ok(cloud.migrator("service-force-down", "n1"))
        made = properties(once_silent(cloud, "ran", local, "--poll"))
        assert re.fullmatch("[A-Za-z0-9]{12}", made["adminPass"])
        given = properties(ok(cloud.migrator("evacuate", "given", "n2", local, "--password", "s3cret")))
        assert given["adminPass"] == "s3cret"
        shared = cloud.migrator("evacuate", "stood", local, "--on-shared-storage")
        assert shared.code == 1
        assert "no other host shares local" in shared.err
        evacuate_the_rest(cloud)
        cloud.until("ran runs", lambda: cloud.state("ran")[0] == "ACTIVE" and cloud.state("ran")[1] != "n1")
        cloud.until("given runs on n2", lambda: cloud.state("given") == ("ACTIVE", "n2"))
        cloud.until("stood stands", lambda: cloud.state("stood")[0] == "SHUTOFF" and cloud.state("stood")[1] != "n1")
        moves = cloud.migrator("migration-list", "--migration-type", "evacuation", "--json").json
        assert {move["status"] for move in moves} == {"done"}
        told = ok(cloud.migrator("timeline", str(moves[0]["id"])))
        assert "evidence: " in told
        assert "owed: cleanup on n1" in told
        assert "on None" not in told, "the scheduler's share is nobody's host"
        early = cloud.migrator("service-force-down", "n1", "--unset")
        assert early.code == 1
        assert "Unable to force up host n1 as `done` evacuation migration records remain" in early.err
    finally:
        cloud.hosts.power_on("n1")
    cloud.until("n1 has cleaned up", lambda: statuses(cloud, *SERVERS) == {"completed"})
    assert json.loads(ok(cloud.migrator("service-force-down", "n1", "--unset", "--json")))[0]["forced_down"] is False
    cloud.delete(*SERVERS)
