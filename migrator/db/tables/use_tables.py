"""What hosts and instances really used, an hour at a time, and when that was sampled last."""

from sqlalchemy import Column, Double, Index, Integer, String, Table

from migrator.db.tables.schema import metadata

use_hours = Table(  # sums of samples, and the largest of them
    "use_hours",
    metadata,
    Column("hour", Integer, primary_key=True),  # since the epoch, by the database's clock
    Column("host", String(255), primary_key=True),
    Column("instance_uuid", String(36), primary_key=True),  # "": all of the host
    Column("samples", Integer, nullable=False),
    Column("cpus", Double, nullable=False),
    Column("cpus_peak", Double, nullable=False),
    Column("waiting_cpus", Double, nullable=False),  # that a guest wanted and did not get
    Column("memory_mb", Double, nullable=False),
    Column("memory_peak_mb", Double, nullable=False),
    Index("ix_use_hours_host", "host", "instance_uuid"),
    Index("ix_use_hours_instance_uuid", "instance_uuid"),
)

use_sampling = Table(  # one row, from its revision on
    "use_sampling",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("begun_at", Double, nullable=False),  # of the newest sample, by the database's clock; 0: there was none
)
