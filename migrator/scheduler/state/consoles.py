"""What agents tell of consoles, and who may tell it. Never decides about an operation, and logs no guest's text."""

from migrator.db import consoles, instances, operations
from migrator.db.engine import Connection, Database
from migrator.errors import InstanceNotFound
from migrator.protocol import ConsolePiece, Consoles


def accept(db: Database, host: str, told: Consoles) -> None:
    """Keep each piece, in a transaction of its own: two hosts may tell of one instance. What is told of an instance
    that is deleted, or was never the host's, counts for nothing."""
    for piece in told.pieces:
        with db.write() as connection:
            _accept(connection, host, piece)


def _accept(connection: Connection, host: str, piece: ConsolePiece) -> None:
    try:
        row = instances.lock(connection, piece.instance)
    except InstanceNotFound:
        return
    under_way = operations.active_of(connection, row.uuid)
    its_own = host == row.host or any(host in (one.source, one.destination) for one in under_way)
    if its_own or consoles.told_by(connection, row.uuid, host):
        consoles.tell(connection, host, piece, here=its_own and piece.live)
