"""Every table, once. Times are seconds since the epoch by the database's clock (see ``clock.py``), as floats.

Owns names, types, keys and indexes; the queries live in the modules beside it, one noun a file.
Alembic's revisions are generated against ``metadata``.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MOVES = "moves"  # a query must say it just so, to be answered by the indexes that have nothing else
_MOVES = text(MOVES)
# names of events that are requests of their own
IS_REQUEST = "events.name IN ('cancel', 'force', 'confirm', 'revert')"
_REQUESTS = text(IS_REQUEST.removeprefix("events."))

hosts = Table(
    "hosts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),  # the service's
    Column("hypervisor_uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("report", JSON, nullable=False),  # protocol.HostReport
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    # capacity x ratio - reserved - claims; a claim is one UPDATE ... WHERE free >= needed
    Column("free_vcpus", Double, nullable=False),
    Column("free_memory_mb", Double, nullable=False),
    Column("free_disk_gb", Double, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("disabled_reason", String(255)),
    Column("approved", Boolean, nullable=False, default=True, server_default=true()),  # False: takes no instances yet
    Column("allowed", JSON),  # {vcpus, memory_mb, disk_gb} that instances may be given at most; None: what it reports
    Column("forced_down", Boolean, nullable=False, default=False),
    Column("fencing", JSON),  # newest evidence that its guests do not run: {kind, by, at, words}
    Column("fence_attempt", JSON),  # newest run of the fence command: {at, by, ok, words}; ok None: it runs
    Column("incarnation", BigInteger, nullable=False, default=0),
    Column("last_seen", Double, nullable=False),  # by the servers' clock (``server_heartbeat``)
    Column("machine", String(36)),  # which machine speaks for the host; None: none has said yet
    Column("claimant", JSON),  # another machine that wants the name: {machine, at, incarnation}
    Column("proofs", JSON),  # pool -> {token, at}: what it last wrote there, by the servers' clock
    Column("fence_address", String(255)),  # of its power switch or management board, by an operator
    Column("boot", String(36)),  # the machine's boot that registered last
    Column("resume_until", Double),  # by the servers' clock: until then the guests that ran before are started again
    Column("heard_since", Double),  # by the servers' clock: without a silence since
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_hosts_placement", "disabled", "forced_down", "free_memory_mb"),
)

listening = Table(  # one row: since when there has been a server to listen
    "listening",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("since", Double, nullable=False),  # by the servers' clock
    Column("alive_at", Double, nullable=False),  # the last beat, by the database's clock
    Column("clock", Double, nullable=False, server_default="0"),  # and by the servers'
    Column("steps", Integer, nullable=False, server_default="0"),  # how often the database's clock was set
    Column("step_s", Double),  # by how much the last time, and when by the servers' clock
    Column("stepped_at", Double),
)

agent_credentials = Table(
    "agent_credentials",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("token_sha256", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
)

copies = Table(  # what each host says it holds: the audit of record against reality
    "copies",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("instance_uuid", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("served", BigInteger, nullable=False, default=0, server_default="0"),  # serial, see `operations`
    Column("seen_at", Double, nullable=False),
    Column("stamp_operation", String(36)),  # by the domain's metadata: who defined, started or moved it last
    Column("stamp_epoch", BigInteger),
    Column("stamp_host", String(255)),  # for which a server issued that stamp; None: none did, for all that is known
    # The host was ever involved with the instance, or the stamp is a server's; else it is a mere claim.
    Column("believed", Boolean, nullable=False, default=True, server_default=true()),
    Index("ix_copies_instance_uuid", "instance_uuid"),
)

keys = Table(  # what no agent has: made with the database, shared by all its servers
    "keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
)

surveys = Table(  # what each agent saw when nothing was moved: the newest one
    "surveys",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("body", JSON, nullable=False),  # protocol.Survey
)

guest_cpus = Table(  # the CPUs that guests of each host see
    "guest_cpus",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("key", String(36), primary_key=True),  # guest_cpu.key
    Column("place", Integer, nullable=False),  # among the host's: 0 is what most of its guests see
    Column("seen_at", Double, nullable=False),
    Column("body", JSON, nullable=False),  # protocol.GuestCpu
)

flavors = Table(
    "flavors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("swap_mb", Integer, nullable=False, default=0),
    Column("rxtx_factor", Double, nullable=False, default=1.0),
    Column("is_public", Boolean, nullable=False, default=True),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("description", Text),
    Column("extra_specs", JSON, nullable=False),
    Column("access", JSON, nullable=False),  # project ids, for private ones
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

images = Table(
    "images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255)),
    Column("status", String(16), nullable=False),  # queued, saving, active
    Column("visibility", String(16), nullable=False),
    Column("protected", Boolean, nullable=False, default=False),
    Column("os_hidden", Boolean, nullable=False, default=False),
    Column("owner", String(255)),
    Column("disk_format", String(32)),
    Column("container_format", String(32)),
    Column("min_disk", Integer, nullable=False, default=0),
    Column("min_ram", Integer, nullable=False, default=0),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),  # md5, Glance's
    Column("checksum_sha256", String(64)),
    Column("properties", JSON, nullable=False),  # kernel_id, ramdisk_id, os_command_line, ...
    Column("tags", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),  # order of creation, for paging
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("reservation_id", String(32), nullable=False),
    Column("flavor", JSON, nullable=False),  # the flavor as it was: row of `flavors`
    Column("image_id", String(36)),
    Column("spec", JSON, nullable=False),  # protocol.InstanceSpec
    Column("host", String(255)),  # None until the build claimed one
    Column("availability_zone", String(255)),
    Column("vm_state", String(32), nullable=False),  # building active stopped paused suspended resized error deleted
    Column("task_state", String(64)),
    Column("power_state", Integer, nullable=False, default=0),  # Nova's: 0 none 1 running 3 paused 4 shutdown 6 crashed
    Column("fault", JSON),  # {code, message, details?, created}
    Column("metadata", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("networks", JSON, nullable=False),  # [{network, mac, ip}]
    Column("key_name", String(255)),
    Column("config_drive", Boolean, nullable=False, default=False),
    Column("locked_by", String(16)),  # None, "owner", "admin"
    Column("locked_reason", String(255)),
    Column("progress", Integer, nullable=False, default=0),
    Column("delete_requested", Boolean, nullable=False, default=False),
    # ["operation/epoch", "served/serial", ...] of copies whose stamps, or whose hosts' newest operations, are not known
    # to the record, once an operator has compared them
    Column("accepted_stamps", JSON),
    Column("served", BigInteger, nullable=False, default=0, server_default="0"),  # newest serial that a host told
    Column("deleted", Boolean, nullable=False, default=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("launched_at", Double),
    Column("terminated_at", Double),
    Index("ix_instances_host", "host", "deleted", "id"),
    Index("ix_instances_project", "deleted", "project_id", "id"),
    # the lists of all projects: by each filter, and in the orders that clients ask for
    Index("ix_instances_deleted", "deleted", "id"),
    Index("ix_instances_created", "deleted", "created_at", "id"),
    Index("ix_instances_name", "deleted", "name", "id"),
    Index("ix_instances_vm_state", "deleted", "vm_state", "id"),
    Index("ix_instances_changed", "updated_at", "created_at"),
    *(
        Index(f"ix_instances_{name}", name, "id")
        for name in (
            "task_state",
            "power_state",
            "image_id",
            "user_id",
            "key_name",
            "reservation_id",
            "availability_zone",
            "locked_by",
        )
    ),
)

volumes = Table(  # network disks that somebody else keeps
    "volumes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("source", String(512), nullable=False, unique=True),  # volume_source's canonical form
    Column("size_gb", Integer, nullable=False),
    Column("image_id", String(36)),  # whose kernel, ramdisk and command line boot it
    # A column of the volume, so that it can be nobody else's at the same time. None: it is free.
    Column("instance_uuid", String(36)),
    Column("target", String(16)),  # device in that instance
    Column("created_at", Double, nullable=False),
    Column("attached_at", Double),
    Index("ix_volumes_instance_uuid", "instance_uuid"),
)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),  # also the migration's id
    Column("uuid", String(36), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("moves", Boolean, nullable=False),  # shown in os-migrations
    # The instance is this operation's. False: it only waits for a host to clean up.
    Column("holds", Boolean, nullable=False, default=True, server_default=true()),
    Column("phase", String(32), nullable=False),
    Column("forward", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    # Grows with each operation of an instance; agents refuse those that are older than what they have served.
    Column("serial", BigInteger, nullable=False, default=0, server_default="0"),
    Column("status", String(32), nullable=False),  # os-migrations' word; while active Phase.shown
    Column("source", String(255)),
    Column("destination", String(255)),
    Column("requested_host", String(255)),
    Column("params", JSON, nullable=False),  # what the request said; never changes
    Column("context", JSON, nullable=False),  # what was learnt on the way (guest, refusals, ...)
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("confirm_requested", Boolean, nullable=False, default=False, server_default=false()),
    Column("steering", JSON),  # what an operator wants of the transfer: {bandwidth_mib_s, max_downtime_ms, held, force}
    Column("waiting", Text),  # the named reason, None while it moves
    Column("error", JSON),  # {code, message}; why it was undone or ended
    Column("outcome", JSON),  # last JobFact and measurements at the end
    Column("request_id", String(64), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("project_id", String(255), nullable=False),
    Column("phase_since", Double, nullable=False),  # by the servers' clock
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("finished_at", Double),
    Index(
        "uq_operations_one_active",
        "instance_uuid",
        unique=True,
        sqlite_where=text("active = 1 AND holds = 1"),
        postgresql_where=text("active AND holds"),
    ),
    Index("ix_operations_active", "active", "id"),
    Index("ix_operations_source", "source", "active"),
    Index("ix_operations_destination", "destination", "active"),
    Index("ix_operations_instance", "instance_uuid", "id"),
    Index("ix_operations_history", "instance_uuid", "created_at", "id"),
    Index("ix_operations_request", "instance_uuid", "request_id"),
    Index("ix_operations_moves", "created_at", "id", sqlite_where=_MOVES, postgresql_where=_MOVES),
    # os-migrations by each of its filters, in its order
    *(
        Index(f"ix_operations_moves_{name}", name, "created_at", "id", sqlite_where=_MOVES, postgresql_where=_MOVES)
        for name in ("status", "source", "destination", "kind", "instance_uuid", "user_id", "project_id")
    ),
    Index("ix_operations_moves_updated_at", "updated_at", sqlite_where=_MOVES, postgresql_where=_MOVES),
    Index("ix_operations_finished", "finished_at", "id"),
)

ended_totals = Table(  # one row: what has ended, counted up to the operation (finished_at, operation_id)
    "ended_totals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("finished_at", Double, nullable=False),
    Column("operation_id", Integer, nullable=False),
    Column("totals", JSON, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("operation_id", Integer, ForeignKey("operations.id")),  # None: held by the instance itself
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("host", "instance_uuid"),
    Index("ix_claims_instance_uuid", "instance_uuid"),
)

facts = Table(
    "facts",
    metadata,
    Column("operation_id", Integer, ForeignKey("operations.id"), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("phase", String(32), nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("told_at", Double),  # last, be it unchanged
    Column("body", JSON, nullable=False),  # protocol.Fact
)

progress = Table(  # a transfer's counters, about once a second
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("operation_id", Integer, ForeignKey("operations.id"), nullable=False),
    Column("at", Double, nullable=False),  # by the servers' clock
    Column("remaining_bytes", BigInteger, nullable=False),
    Column("job", JSON, nullable=False),  # protocol.JobFact
    Index("ix_progress_operation", "operation_id", "at"),
    Index("ix_progress_low", "operation_id", "remaining_bytes", "at"),
)

events = Table(  # the timeline, and os-instance-actions' events
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("operation_id", Integer, ForeignKey("operations.id")),
    Column("instance_uuid", String(36)),
    Column("at", Double, nullable=False),
    Column("name", String(64), nullable=False),  # "phase", "reverse", "waiting", "alarm", "end"
    Column("phase", String(32)),
    Column("epoch", Integer),
    Column("host", String(255)),
    Column("message", Text, nullable=False),
    Column("details", JSON),
    Index("ix_events_operation_id", "operation_id", "id"),
    Index("ix_events_instance_uuid", "instance_uuid", "id"),
    Index("ix_events_requests", "instance_uuid", "at", "id", sqlite_where=_REQUESTS, postgresql_where=_REQUESTS),
)

alarms = Table(  # what was found wrong and is not over; cleared ones are kept
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(64), nullable=False),  # alarms.AlarmKind
    # "" where it is not about one: NULLs would be different from each other in the index below
    Column("host", String(255), nullable=False),
    Column("instance_uuid", String(36), nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSON),
    Column("raised_at", Double, nullable=False),
    Column("changed_at", Double),  # when the words changed last
    Column("cleared_at", Double),  # None: it is open
    Index(
        "uq_alarms_one_open",
        "kind",
        "host",
        "instance_uuid",
        unique=True,
        sqlite_where=text("cleared_at IS NULL"),
        postgresql_where=text("cleared_at IS NULL"),
    ),
    Index("ix_alarms_instance_uuid", "instance_uuid", "id"),
    Index("ix_alarms_host", "host", "id"),
)
