"""The verbs of rebalances as processes, against a running server with simulated hosts."""

import pytest

from tests.cli.verbs import ok
from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_a_rebalance_is_asked_for_listed_and_shown(cloud: Cloud, vm: str) -> None:
    _, host = cloud.state(vm)
    found = cloud.migrator("rebalance", "--objective", "pack", "--at-most", "3", "--json").json
    assert (found["objective"], found["at_most"], found["expired"]) == ("pack", 3, False)
    shown = ok(cloud.migrator("rebalance-show", found["uuid"]))
    assert f"rebalance {found['uuid']} (pack): {len(found['moves'])} moves proposed until" in shown
    listed = cloud.migrator("rebalance-list", "--json").json
    assert listed[0]["uuid"] == found["uuid"]
    refused = cloud.migrator("rebalance-accept", found["uuid"], "--servers", "nobody")
    assert (refused.code, "proposes no move of nobody" in refused.err) == (1, True)
    assert ok(cloud.migrator("rebalance")).startswith("rebalance ")
    assert cloud.state(vm)[1] == host
