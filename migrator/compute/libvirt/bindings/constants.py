"""libvirt's constants by name, and what they are called in the protocol.

Owns the vocabulary, and never imports libvirt: the driver looks the names up there. A name stands without its prefix:
``VIR_DOMAIN_`` for states, the state's own name too for reasons, ``VIR_DOMAIN_JOB_`` for statistics.
"""

from collections.abc import Mapping

from migrator.protocol import DomainState

STATES: Mapping[str, DomainState] = {
    "RUNNING": DomainState.RUNNING,
    "BLOCKED": DomainState.RUNNING,
    "PMSUSPENDED": DomainState.RUNNING,
    "SHUTDOWN": DomainState.RUNNING,
    "PAUSED": DomainState.PAUSED,
    "SHUTOFF": DomainState.SHUT_OFF,
    "CRASHED": DomainState.CRASHED,
}

REASONS: Mapping[str, Mapping[str, str]] = {
    "RUNNING": {
        "BOOTED": "booted",
        "MIGRATED": "migrated",
        "RESTORED": "restored",
        "UNPAUSED": "unpaused",
        "MIGRATION_CANCELED": "migration-cancelled",
        "POSTCOPY": "postcopy",
        "POSTCOPY_FAILED": "postcopy-failed",
        "CRASHED": "panicked",
    },
    "PAUSED": {
        "USER": "user",
        "MIGRATION": "migration",
        "SAVE": "save",
        "DUMP": "dump",
        "IOERROR": "io-error",
        "WATCHDOG": "watchdog",
        "SHUTTING_DOWN": "shutting-down",
        "SNAPSHOT": "snapshot",
        "CRASHED": "panicked",
        "STARTING_UP": "starting-up",
        "POSTCOPY": "postcopy",
        "POSTCOPY_FAILED": "postcopy-failed",
    },
    "SHUTOFF": {
        "SHUTDOWN": "shutdown",
        "DESTROYED": "destroyed",
        "CRASHED": "crashed",
        "MIGRATED": "migrated",
        "SAVED": "saved",
        "FAILED": "failed",
        "DAEMON": "daemon",
    },
    "CRASHED": {"PANICKED": "panicked"},
}

# JobFact's fields.
JOB_FIELDS: Mapping[str, str] = {
    "memory_total_bytes": "MEMORY_TOTAL",
    "memory_processed_bytes": "MEMORY_PROCESSED",
    "memory_remaining_bytes": "MEMORY_REMAINING",
    "disk_total_bytes": "DISK_TOTAL",
    "disk_processed_bytes": "DISK_PROCESSED",
    "disk_remaining_bytes": "DISK_REMAINING",
    "elapsed_ms": "TIME_ELAPSED",
    "setup_ms": "SETUP_TIME",
    "downtime_ms": "DOWNTIME",
    "iterations": "MEMORY_ITERATION",
    "dirty_pages_per_s": "MEMORY_DIRTY_RATE",
    "bytes_per_s": "MEMORY_BPS",
    "throttle_percent": "AUTO_CONVERGE_THROTTLE",
}
