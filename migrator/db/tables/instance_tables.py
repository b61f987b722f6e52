"""Instances, and the volumes that are attached to them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, String, Table, Text

from migrator.db.tables.schema import metadata

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
    Column("image_properties", JSON),  # the image's, as they were
    Column("spec", JSON, nullable=False),  # protocol.InstanceSpec
    Column("host", String(255)),  # None until the build claimed one
    Column("availability_zone", String(255)),
    Column("server_group", String(36)),  # None: in none
    Column("scheduler_hints", JSON),  # as they were asked for; what placement reads is in `neighbours`
    Column("vm_state", String(32), nullable=False),  # building active stopped paused suspended resized error deleted
    Column("task_state", String(64)),
    Column("power_state", Integer, nullable=False, default=0),  # Nova's: 0 none 1 running 3 paused 4 shutdown 6 crashed
    Column("fault", JSON),  # {code, message, details?, created}
    Column("metadata", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("networks", JSON, nullable=False),  # [{network, mac, ip}]
    Column("key_name", String(255)),
    Column("key_data", Text),  # the public key of that name, as it was
    Column("hostname", String(255)),
    Column("access_ip_v4", String(39)),
    Column("access_ip_v6", String(39)),
    Column("disk_config", String(8)),  # AUTO or MANUAL; None: MANUAL
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
    Index("ix_instances_server_group", "server_group"),
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

volumes = Table(  # network disks that another system keeps
    "volumes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("source", String(512), nullable=False, unique=True),  # volume_source's canonical form
    Column("size_gb", Integer, nullable=False),
    Column("image_id", String(36)),  # whose kernel, ramdisk and command line boot it
    # A column of the volume, so that it can be no other instance's at the same time. None: it is free.
    Column("instance_uuid", String(36)),
    Column("target", String(16)),  # device in that instance
    Column("created_at", Double, nullable=False),
    Column("attached_at", Double),
    Index("ix_volumes_instance_uuid", "instance_uuid"),
)
