"""Looks at intervals whether the fleet survives the loss of any one host, and keeps what was found for the metrics.

Owns that one server looks at a time, and rests for ten times as long as the last look took. Changes nothing of the
fleet.
"""

import time

from migrator.db import capacity_check
from migrator.db.engine import Database
from migrator.scheduler.fleet import losses
from migrator.settings import ServerSettings


def check(db: Database, settings: ServerSettings) -> bool:
    """Whether it was this server's turn. Raises BadRequest for more hosts than are planned at once."""
    with db.read() as connection:
        if not capacity_check.due(connection, settings.capacity_check_interval):
            return False
    with db.write() as connection:
        if not capacity_check.begin(connection, settings.capacity_check_interval):
            return False
    began = time.perf_counter()
    found = losses.any_one_host(db, settings)
    no_place = len(found.losses)
    with db.write() as connection:
        capacity_check.finish(connection, no_place, len(found.without_data), time.perf_counter() - began)
    return True
