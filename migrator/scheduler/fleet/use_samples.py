"""Samples at intervals what hosts and instances really use, and forgets what is old. One server at a time."""

from migrator.db import use_samples
from migrator.db.engine import Database
from migrator.settings import ServerSettings

_HEARD_S = 120.0  # a survey may be as old as that, for in large clusters each comes once a minute or so


def sample(db: Database, settings: ServerSettings) -> bool:
    """Whether it was this server's turn."""
    interval_s = settings.usage_sample_interval
    with db.read() as connection:
        if not use_samples.due(connection, interval_s):
            return False
    with db.write() as connection:
        if not use_samples.begin(connection, interval_s):
            return False
        use_samples.sample(connection, max(_HEARD_S, interval_s))
        use_samples.prune(connection, settings.usage_retention)
    return True
