"""Quotas and limits, as `openstack` and `nova` set and show them."""

import pytest

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_an_administrator_sets_a_projects_quotas_and_a_project_sees_its_limits(cloud: Cloud) -> None:
    done = cloud.openstack("quota", "set", "--instances", "7", "--ram", "2048", "demo")
    assert done.code == 0, done.err
    shown = cloud.openstack("quota", "show", "--compute", "demo", "-f", "json").json
    found = {row["Resource"]: row["Limit"] for row in shown}
    assert (found["instances"], found["ram"], found["cores"]) == (7, 2048, -1)
    told = cloud.nova("quota-show", "--tenant", "demo")
    assert (told.code, "| instances            | 7 " in told.out) == (0, True), told.out
    listed = cloud.openstack("limits", "show", "--absolute", "-f", "json").json
    assert {"Name": "instances", "Value": -1} in listed
    limits = cloud.nova("limits")
    assert (limits.code, "| Instances " in limits.out) == (0, True), limits.out + limits.err
