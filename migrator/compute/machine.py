"""Which machine this is, and what an agent does that was told that another machine has its name.

Owns the file that keeps the identity while the machine runs: it counts for the boot in which it was written, so that a
cloned disk, which boots anew, brings none along. Never asks the server.
"""

import json
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from migrator.compute.boot import boot_id
from migrator.compute.driver import Driver
from migrator.errors import MigratorError
from migrator.private_files import PASSAGE, make_folder, write_text
from migrator.protocol import DomainState

log = logging.getLogger("migrator.agent")

_NAMESPACE = uuid.UUID("5b3c1f57-7a0a-4c0d-9d3e-6f6f0d3a2c11")
_CUT = (DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING, DomainState.CRASHED)


def machine_of(*parts: str) -> str:
    """An identity made of what differs between machines; nothing of the parts can be read from it."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))


def identify(driver: Driver, kept: Path | None, boot: Callable[[], str] = boot_id) -> str:
    """This machine's identity, the same until it boots anew, whatever restarts on it. ``kept``: the file that keeps
    it, None for none. Raises HypervisorUnavailable when only the hypervisor can tell."""
    known = _read(kept, boot())
    if known is not None:
        return known
    found = driver.machine()
    if kept is not None:
        try:
            make_folder(kept.parent, PASSAGE)
            half = kept.with_suffix(".new")
            write_text(half, json.dumps({"boot": boot(), "machine": found}))
            os.replace(half, kept)
        except OSError as error:  # it can be found out again
            log.warning("the machine's identity cannot be kept in %s: %s", kept, error)
    return found


def _read(kept: Path | None, boot: str) -> str | None:
    if kept is None:
        return None
    try:
        found = json.loads(kept.read_text())
        return str(uuid.UUID(found["machine"])) if found["boot"] == boot else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def stop_guests(driver: Driver, tags: Mapping[str, Any]) -> None:
    """Cut the power of every guest of ours: another machine is heard under this one's name, and may run them."""
    for copy in driver.list_copies(live=True):
        if copy.state in _CUT:
            log.critical("another machine has this host's name: stopping instance %s", copy.uuid, extra=dict(tags))
            try:
                driver.destroy(copy.uuid)
            except MigratorError as error:
                log.error("instance %s could not be stopped: %s", copy.uuid, error, extra=dict(tags))
