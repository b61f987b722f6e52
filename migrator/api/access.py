"""Whether the policy lets a request reach its handler: the rule of its row in the table of URLs, and whose the server
is that its path names.

Owns the order of both answers: another project's server is not there (404) before anything is refused (403). Without a
rule a row is an administrator's.
"""

from typing import Any

from migrator.api.identity.policy_rules import by_operation
from migrator.api.routing import ANYBODY, ApiRequest, Route
from migrator.api.surface import Surface
from migrator.db import instance_list
from migrator.errors import Conflict, Forbidden

# Their handlers ask for the rule of the action that the body names.
BY_ACTION = frozenset(
    {"POST /v2.1/servers/{id}/action", "POST /v2.1/flavors/{id}/action", "POST /v2.1/os-aggregates/{id}/action"}
)
_SERVER = "/v2.1/servers/{id}"
_DELETED_TOO = f"{_SERVER}/os-instance-actions"


def rule_of(route: Route) -> str | None:
    """None: no rule is asked for, or the handler asks."""
    if route.access is ANYBODY or route.access.kind is not None or operation_of(route) in BY_ACTION:
        return None
    known = by_operation().get(operation_of(route))
    return known.name if known is not None else route.access.rule or "context_is_admin"


def operation_of(route: Route) -> str:
    """As the table of rules names it: images have several places, and one name."""
    path = route.path
    if route.surface is Surface.IMAGES:
        path = f"/image/v2{path[path.index('/images') :]}"
    return f"{route.method} {path}"


def granted(route: Route, asked: ApiRequest) -> bool:
    """Without a look at the database. False: ``check`` tells. What differs from the table of rules may depend on whose
    the server is."""
    rule = rule_of(route)
    if rule is None:
        return True
    if asked.services.rules.value.overridden and route.path.startswith(_SERVER):
        return False
    return asked.allows(rule)


def check(route: Route, asked: ApiRequest) -> None:
    """Raises Forbidden, and InstanceNotFound before it."""
    rule = rule_of(route)
    if rule is not None:
        asked.require(rule, _server(route, asked) if route.path.startswith(_SERVER) else None)


def check_lock(route: Route, asked: ApiRequest) -> None:
    """What a locked server is kept from (``held_by_lock``), as Nova's. Raises Conflict, and InstanceNotFound."""
    if route.held_by_lock and not asked.caller.is_admin:
        with asked.services.db.read() as connection:
            row = instance_list.owner(connection, asked.params["id"], asked.caller.project_id)
        refuse_locked(asked, row)


def refuse_locked(asked: ApiRequest, row: Any) -> None:
    """Raises Conflict."""
    if row.locked_by and not asked.caller.is_admin:
        raise Conflict(f"Instance {row.uuid} is locked")


def _server(route: Route, asked: ApiRequest) -> Any:
    """Whose the server is; an administrator learns that it is not there from the handler, in that one's words."""
    caller = asked.caller
    if not caller.project_id:
        raise Forbidden(f"Policy doesn't allow {rule_of(route)} to be performed.")
    with asked.services.db.read() as connection:
        return instance_list.owner(
            connection,
            asked.params["id"],
            None if caller.is_admin else caller.project_id,
            deleted=route.path.startswith(_DELETED_TOO),
        )
