"""Masakari's monitors tell of hosts by openstacksdk: what they call is answered."""

import datetime

import openstack
import pytest

from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_openstacksdk_sends_a_notification_as_masakari_s_monitors_do(cloud: Cloud) -> None:
    native = cloud.url.removesuffix("/v2.1") + "/v1"
    sdk = openstack.connect(auth_type="none", endpoint=native, instance_ha_endpoint_override=native)
    sent = sdk.instance_ha.create_notification(
        type="COMPUTE_HOST",
        hostname="n1",
        generated_time=datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
        payload={"event": "STARTED", "cluster_status": "ONLINE", "host_status": "NORMAL"},
    )
    assert (sent.type, sent.status) == ("COMPUTE_HOST", "ignored")
    assert sent.payload["event"] == "STARTED"
