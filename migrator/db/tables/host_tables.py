"""Hosts: what they report, what they hold and saw, and the servers that listen to them.

Owns no claim: what operations and instances take of a host is in ``operation_tables``.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, String, Table, true

from migrator.db.tables.schema import metadata

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
    Column("working", JSON),  # instances that its agent works on, by its newest poll; None: it does not tell
    Column("working_at", Double),  # by the servers' clock: when that poll came
    # of its newest poll that has a number: an older one that comes later tells neither what is worked on nor any copies
    Column("poll_incarnation", BigInteger, nullable=False, default=0, server_default="0"),
    Column("poll_number", BigInteger, nullable=False, default=0, server_default="0"),
    # By the servers' clock: when its newest complete list of copies was worked in. NULL: no list is known.
    Column("listed_at", Double),
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

join_tokens = Table(  # for each host that may join: the token that its first credential is given for, once
    "join_tokens",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

keys = Table(  # what no agent has: made with the database, shared by all its servers
    "keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", String(255), nullable=False),
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
