"""Registers a host in a database, and lists its copies, as its agent would over HTTP."""

from migrator.db import polls
from migrator.db.engine import Database
from migrator.protocol import HostReport, Registration
from migrator.scheduler.hosts import registration


def register(
    db: Database,
    host: str,
    incarnation: int,
    report: HostReport,
    machine: str = "",
    down_after: float = 60.0,
    *,
    token: str | None = None,
) -> None:
    """Raises why the host is refused."""
    told = {host: Registration(incarnation=incarnation, machine=machine, report=report)}
    tokens = {host: token} if token is not None else None
    refused = registration.take(db, told, down_after, tokens=tokens)
    if host in refused:
        raise refused[host]


def list_no_copies(db: Database, *names: str) -> None:
    """The hosts' agents say that they hold none."""
    with db.write() as connection:
        for name in names:
            polls.polled(connection, name, polls.PollTold(0, 0, listed=True))
