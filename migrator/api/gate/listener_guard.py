"""Which of the server's two addresses a connection reached: the API's own, or the one for agents only.

Never looks at what a request asks for.
"""

from starlette.types import Scope


class ListenerGuard:
    """The rule names the API's own door, not the agents': a wildcard ``agent_listen`` is many local addresses, and
    whatever is in doubt stays closed."""

    def __init__(self, listen: str, agent_listen: str | None) -> None:
        self._host, port = split(listen)
        self._port = int(port)
        self._two_doors = agent_listen is not None
        self._one_port = agent_listen is not None and split(agent_listen)[1] == port

    def agents_only(self, scope: Scope) -> bool:
        host, port = scope.get("server") or ("", None)
        return self._two_doors and not (port == self._port and (not self._one_port or host == self._host))


def split(endpoint: str) -> tuple[str, str]:
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), port
