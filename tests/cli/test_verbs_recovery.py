"""The verbs about recoveries as processes, against a server that has begun none: what one shows is tests/api's."""

import pytest

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def test_recoveries_are_listed_and_an_unknown_one_is_said(cloud: Cloud) -> None:
    listed = cloud.migrator("recovery-list", "--all", "--host", "n1", "--json")
    assert (listed.code, listed.json) == (0, [])
    shown = cloud.migrator("recovery-show", UNKNOWN)
    assert shown.code == 1
    assert UNKNOWN in shown.err
    assert "Traceback" not in shown.err
