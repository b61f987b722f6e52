"""Several servers advance the same drains at one moment: nothing is begun twice, no budget is exceeded."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from migrator.db.tables import drain_moves, hosts, operations
from tests.api import seed
from tests.api.harness import Web

SERVERS = 3


def at_once(acts: Sequence[Callable[[], object]]) -> None:
    barrier, failed = threading.Barrier(len(acts)), []

    def act(one: Callable[[], object]) -> None:
        barrier.wait(20)
        try:
            one()
        except Exception as error:  # told below: a thread's own end tells nothing
            failed.append(error)

    threads = [threading.Thread(target=act, args=(one,), daemon=True) for one in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert not any(thread.is_alive() for thread in threads)


def rows(web: Web, table: Any) -> list[Any]:
    with web.db.read() as connection:
        return list(connection.execute(select(table)).all())


def test_no_move_is_begun_twice_and_no_budget_is_exceeded(web: Web, tmp_path: Path) -> None:
    seed.host(web.db, "compute3")
    for name in ("compute1", "compute2", "compute3"):
        seed.pools(web.db, name, local="shared")
    for number in range(6):
        seed.instance(web.db, f"vm{number}", host=f"compute{number % 2 + 1}")
    limits: dict[str, Any] = {"drain_at_most": 2, "drain_at_most_per_destination": 9, "drain_at_most_in_fleet": 3}
    servers = [Web(web.db, tmp_path / str(number), **limits) for number in range(SERVERS)]
    for host in ("compute1", "compute2"):
        answer = servers[0]("POST", "/v1/drains", None, json={"host": host, "to": ["compute3"], "dry_run": True})
        assert answer.status_code == 200, answer.text
    bodies = [{"host": host, "to": ["compute3"]} for host in ("compute1", "compute2")]
    asked = [partial(server, "POST", "/v1/drains", None, json=body) for body in bodies for server in servers[:2]]
    at_once(asked)
    for _ in range(3):
        at_once([server.services.drains.sweep for server in servers])
    begun = rows(web, operations)
    moving = [row for row in rows(web, drain_moves) if row.state == "moving"]
    assert len(begun) == len(moving) == 3, "the fleet's budget"
    assert {row.operation_id for row in moving} == {row.id for row in begun}
    assert max(Counter(row.source for row in begun).values()) == 2
    assert max(Counter(row.instance_uuid for row in begun).values()) == 1
    assert [row.disabled for row in sorted(rows(web, hosts), key=lambda row: row.name)] == [True, True, False]
