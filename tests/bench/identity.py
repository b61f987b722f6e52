"""What it costs a request to know who calls, from memory, and to ask the policy: by each strategy."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrator.api.identity import callers, policy
from migrator.api.identity.authenticator import Authenticator, NoAuthentication
from migrator.api.identity.keystone import Keystone
from tests.api.callers import basic, http_basic

RUNS = 20_000
WANTED_MS = 0.3
RULES = ("os_compute_api:servers:detail", "os_compute_api:servers:show:host_status", "os_compute_api:servers:create")


class _Answers:
    def validated(self, token: str) -> Mapping[str, Any]:  # noqa: ARG002 - the interface
        roles = [{"name": name} for name in ("member", "reader")]
        return {"user": {"id": "u"}, "project": {"id": "p"}, "roles": roles, "expires_at": "2999-01-01T00:00:00Z"}

    def begin_anew(self) -> None:
        return None


def run() -> list[str]:
    lines = ["| strategy | median | p99 | at most |", "| --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as directory:
        password = {name.lower(): value for name, value in basic("member", "password of member").items()}
        strategies: dict[str, tuple[Authenticator, Mapping[str, str]]] = {
            "none": (NoAuthentication(), {}),
            "http_basic": (http_basic(Path(directory)), password),
            "keystone": (Keystone("http://k", _Answers(), 300.0), {"x-auth-token": "gAAAAA" + "x" * 180}),
        }
        for name, (strategy, headers) in strategies.items():
            asyncio.run(strategy.verified(headers))
            took = sorted(_once(strategy, headers) for _ in range(RUNS))
            median, worst = statistics.median(took), took[int(RUNS * 0.99) - 1]
            lines.append(f"| {name} | {median:.4f} ms | {worst:.4f} ms | {WANTED_MS} ms |")
    return lines


_POLICY = policy.load(None)


def _once(strategy: Authenticator, headers: Mapping[str, str]) -> float:
    """Milliseconds: the strategy's memory, the caller, and three rules."""
    begin = time.perf_counter()
    identity = strategy.remembered(headers)
    assert identity is not None
    caller = callers.caller_of(identity, "req-bench", _POLICY)
    for rule in RULES:
        _POLICY.allows(rule, caller)
    return (time.perf_counter() - begin) * 1000
