"""The verbs of webhooks as processes, against a running server."""

import pytest

from tests.cli.verbs import ok, properties
from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_a_webhook_is_made_listed_asked_about_and_deleted(cloud: Cloud) -> None:
    made = properties(ok(cloud.migrator("webhook-create", "chat", "https://localhost:9/hook", "--event", "alarm")))
    assert made["secret"].startswith("whsec_")
    try:
        (listed,) = cloud.migrator("webhook-list", "--json").json
        assert (listed["name"], listed["events"], "secret" in listed) == ("chat", ["alarm"], False)
        assert ok(cloud.migrator("webhook-deliveries", "chat", "--state", "failing")).startswith("+")
        refused = cloud.migrator("webhook-create", "meta", "https://169.254.169.254/")
        assert (refused.code, "webhook_networks" in refused.err) == (1, True)
    finally:
        ok(cloud.migrator("webhook-delete", "chat"))
    assert cloud.migrator("webhook-list", "--json").json == []
