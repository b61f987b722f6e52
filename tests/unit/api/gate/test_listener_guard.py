"""Which door a connection came in by: the API's own is shown only to those who reached its address for certain."""

import pytest

from migrator.api.gate.listener_guard import ListenerGuard

API = "127.0.0.1:8774"


@pytest.mark.parametrize(
    ("agents", "reached", "agents_only"),
    [
        (None, ("127.0.0.1", 8774), False),
        (None, ("10.0.0.1", 9999), False),
        ("127.0.0.1:8775", ("127.0.0.1", 8774), False),
        ("127.0.0.1:8775", ("127.0.0.1", 8775), True),
        ("0.0.0.0:8775", ("10.0.0.1", 8775), True),
        ("10.0.0.1:8774", ("10.0.0.1", 8774), True),
        ("10.0.0.1:8774", ("127.0.0.1", 8774), False),
        ("[::]:8774", ("fd00::1", 8774), True),
        ("127.0.0.1:8775", None, True),
    ],
)
def test_whether_a_connection_sees_only_what_agents_see(
    agents: str | None, reached: tuple[str, int] | None, agents_only: bool
) -> None:
    assert ListenerGuard(API, agents).agents_only({"type": "http", "server": reached}) is agents_only
