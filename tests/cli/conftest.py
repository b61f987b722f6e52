"""The command line meets the same running server and simulated hosts as the OpenStack clients."""

import re
from collections.abc import Iterator

import pytest

from tests.clients.conftest import Cloud, cloud

__all__ = ["cloud"]


@pytest.fixture
def vm(cloud: Cloud, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a server of this test's own, ACTIVE, of flavor "1" or the one named; deleted afterwards."""
    name = re.sub(r"[^a-z-]+", "-", request.node.name)[:40].strip("-")
    cloud.boot(name, getattr(request, "param", "1"))
    yield name
    cloud.delete(name)
