"""The scheduler hints of POST /servers: what they name is looked up, and every other hint is refused by name."""

from collections.abc import Mapping
from typing import Any

from migrator import supported
from migrator.db import instance_list as instance_rows
from migrator.db import server_groups
from migrator.db.engine import Connection
from migrator.errors import BadRequest, InstanceNotFound, ServerGroupNotFound
from migrator.scheduler.requests.build import Hints

FIELDS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")  # one field by two names


def read(connection: Connection, body: Mapping[str, Any], project_id: str | None) -> Hints:
    """``project_id``: whose groups and instances may be named; None: every project's. Raises BadRequest."""
    asked: dict[str, Any] = {name: value for key in FIELDS for name, value in (body.get(key) or {}).items()}
    if said := supported.refused_hints(asked):
        raise BadRequest(f"Invalid input for field/attribute os:scheduler_hints: {'; '.join(said)}.")
    if group := asked.get("group"):
        try:
            server_groups.get(connection, group, project_id)
        except ServerGroupNotFound as error:
            raise BadRequest(f"Invalid input for field/attribute group: {error.message}") from error
    named = {name: _listed(asked.get(name)) for name in ("same_host", "different_host")}
    for name, uuids in named.items():
        for uuid in uuids:
            try:
                instance_rows.exists(connection, uuid, project_id)
            except InstanceNotFound as error:
                raise BadRequest(f"Invalid input for field/attribute {name}: {error.message}") from error
    return Hints(asked, asked.get("group") or None, named["same_host"], named["different_host"])


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(dict.fromkeys(value or ()))
