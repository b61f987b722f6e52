"""What real agents tell beforehand is what a live migration then meets."""

import signal
from typing import Any

import httpx
import pytest

from migrator.lab import LabHost
from tests.lab.cluster import Cluster
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.lab


def told(cluster: Cluster, uuid: str, host: LabHost) -> dict[str, dict[str, Any]]:
    """Code -> check, of one destination."""
    query = {"server": uuid, "to": host.name}
    answer = httpx.get(f"{cluster.url}/v1/preflight", params=query, trust_env=False, timeout=PATIENCE * 30)
    (judged,) = answer.json()["preflight"][0]["hosts"]
    return {check["code"]: check for check in judged["checks"]}


def short_of(cluster: Cluster, uuid: str, host: LabHost) -> dict[str, str]:
    """Code -> status of every check that does not pass."""
    checks = told(cluster, uuid, host).items()
    return {code: check["status"] for code, check in checks if check["status"] != "passed"}


def test_a_destination_whose_libvirtd_does_not_answer_is_known_before_and_named_after(cluster: Cluster) -> None:
    uuid = cluster.boot("shared")
    source = cluster.where(uuid)
    other = next(host for host in cluster.lab.hosts if host.name != source.name)
    try:
        wait_for(lambda: not short_of(cluster, uuid, other), 90, "every check to pass")
        other.kill_libvirtd(signal.SIGSTOP)
        try:
            wait_for(lambda: short_of(cluster, uuid, other).get("uri") == "failed", 90, "the source to find out")
            cluster.migrate(uuid, other.name)
            refused = cluster.wait_operation(uuid)
        finally:
            other.kill_libvirtd(signal.SIGCONT)
        assert refused["error"]["code"] == "no_valid_host"
        assert "uri" in [check["code"] for check in refused["error"]["checks"][other.name]]
        assert cluster.runners(uuid) == [source.name]
        wait_for(lambda: not short_of(cluster, uuid, other), 90, "every check to pass again")
        cluster.migrate(uuid, other.name)
        assert cluster.wait_operation(uuid)["status"] == "completed"
        assert cluster.runners(uuid) == [other.name]
    finally:
        cluster.delete(uuid)
