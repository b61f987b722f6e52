"""No request, whatever is in it, is answered with 500: a bounded part of what ``hostile_run`` does."""

import asyncio
from pathlib import Path

from migrator.db.engine import Database
from tests.api.hostile_run import Outcome, run

COUNT = 2000


def test_no_hostile_value_in_any_field_of_any_route_ends_in_a_500(db: Database, tmp_path: Path) -> None:
    outcome = Outcome()
    asyncio.run(run(db.url, tmp_path, COUNT, 1, outcome))
    assert outcome.failed == []
    assert sum(outcome.statuses.values()) == COUNT
    reached = {status for status, number in outcome.statuses.items() if number > 5}
    assert {200, 202, 204, 400, 404, 409} <= reached, "the requests no longer reach the handlers"
