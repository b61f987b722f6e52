"""What the newest look at the fleet's capacity found."""

from sqlalchemy import Column, Double, Integer, Table

from migrator.db.tables.schema import metadata

capacity_check = Table(  # one row, from the first revision on
    "capacity_check",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("begun_at", Double, nullable=False),  # of the newest look; 0: there was none
    Column("ended_at", Double),  # of the newest look that ended, which found the rest
    Column("took_s", Double, nullable=False),
    Column("no_place", Integer, nullable=False),  # hosts whose loss would leave an instance without a place
    Column("local_disks", Integer, nullable=False),  # hosts whose loss would cost an instance data
)
