"""Keys that servers share and agents do not have. Each is made with the database, at the first start on it."""

from sqlalchemy import Connection, select

from migrator.db.tables import keys
from migrator.errors import KeyMissing

_STAMP = select(keys.c.value).where(keys.c.name == "stamp")


def stamp_key(connection: Connection) -> bytes:
    """What the stamps of domains are signed with."""
    value = connection.execute(_STAMP).scalar_one_or_none()
    if value is None:
        raise KeyMissing(
            "the database has no key to sign domains' stamps with",
            advice="restore the table keys from the backup that this database came from",
        )
    return bytes.fromhex(value)
