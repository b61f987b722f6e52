"""Every listing as data: where its rows come from and which columns nova shows of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from migrator.cli.tables import Column, Row

_POWER = {0: "NOSTATE", 1: "Running", 3: "Paused", 4: "Shutdown", 6: "Crashed", 7: "Suspended"}


def networks(server: Row) -> str:
    addresses = server.get("addresses") or {}
    return "; ".join(f"{name}={', '.join(one['addr'] for one in found)}" for name, found in addresses.items())


def _status(server: Row) -> str:
    """The record's, unless its host is silent or was forced down: what runs there, the record does not know."""
    on_silent_host = server.get("host_status") in ("UNKNOWN", "DOWN") and server["status"] not in ("BUILD", "ERROR")
    return "UNKNOWN" if on_silent_host else str(server["status"])


def _columns(text: str, **values: str) -> tuple[Column, ...]:
    """Titles separated by commas; a column's key is its title in lower case with underscores, unless given."""
    keys = [(title.strip(), title.strip().lower().replace(" ", "_")) for title in text.split(",")]
    return tuple(Column(title, values.get(key, key)) for title, key in keys)


@dataclass(frozen=True, slots=True)
class Listing:
    """``filters``: option -> query parameter. ``paged``: the resource has limit and marker."""

    help: str
    path: str
    rows: str
    columns: Sequence[Column]
    filters: Sequence[tuple[str, str]] = ()
    paged: bool = False
    always: Sequence[tuple[str, str]] = ()


_SERVER_COLUMNS = (
    Column("ID", "id"),
    Column("Name", "name"),
    Column("Status", _status),
    Column("Task State", "OS-EXT-STS:task_state"),
    Column("Power State", lambda row: _POWER.get(row.get("OS-EXT-STS:power_state") or 0, "NOSTATE")),
    Column("Networks", networks),
    Column("Host", "OS-EXT-SRV-ATTR:host"),
)
FLAVOR_COLUMNS = (
    *_columns("ID,Name,Memory_MiB,Disk", memory_mib="ram"),
    Column("Ephemeral", "OS-FLV-EXT-DATA:ephemeral"),
    *_columns("Swap,VCPUs,RXTX_Factor"),
    Column("Is_Public", "os-flavor-access:is_public"),
    Column("Description", "description"),
)
IMAGE_COLUMNS = _columns("ID,Name,Status,Disk Format,Size")
SERVER_MIGRATION_COLUMNS = _columns(
    "Id,Source Node,Dest Node,Source Compute,Dest Compute,Dest Host,Status,Server UUID,Created At,Updated At,"
    "Project ID,User ID,Total Memory Bytes,Processed Memory Bytes,Remaining Memory Bytes,"
    "Total Disk Bytes,Processed Disk Bytes,Remaining Disk Bytes",
    **{
        f"{shown}_{part}_bytes": f"{part}_{shown}_bytes"
        for part in ("memory", "disk")
        for shown in ("total", "processed", "remaining")
    },
)
LISTINGS = {
    "list": Listing(
        "list servers",
        "/servers/detail",
        "servers",
        _SERVER_COLUMNS,
        (("name", "name"), ("status", "status"), ("host", "host")),
        paged=True,
        always=(("all_tenants", "1"),),
    ),
    "migration-list": Listing(
        "list migrations, running and past",
        "/os-migrations",
        "migrations",
        _columns(
            "Id,UUID,Source Node,Dest Node,Source Compute,Dest Compute,Dest Host,Status,Instance UUID,"
            "Old Flavor,New Flavor,Created At,Updated At,Type,Project ID,User ID",
            old_flavor="old_instance_type_id",
            new_flavor="new_instance_type_id",
            type="migration_type",
        ),
        (
            ("host", "host"),
            ("status", "status"),
            ("instance-uuid", "instance_uuid"),
            ("migration-type", "migration_type"),
            ("source-compute", "source_compute"),
        ),
        paged=True,
    ),
    "service-list": Listing(
        "list the hosts' services",
        "/os-services",
        "services",
        _columns("Id,Binary,Host,Zone,Status,State,Updated_at,Disabled Reason,Forced down", forced_down="forced_down"),
        (("host", "host"), ("binary", "binary")),
    ),
    "hypervisor-list": Listing(
        "list hypervisors",
        "/os-hypervisors",
        "hypervisors",
        _columns("ID,Hypervisor hostname,State,Status"),
        (("matching", "hypervisor_hostname_pattern"),),
    ),
    "flavor-list": Listing(
        "list flavors", "/flavors/detail", "flavors", FLAVOR_COLUMNS, paged=True, always=(("is_public", "None"),)
    ),
}
