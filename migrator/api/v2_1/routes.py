"""The Compute API's table of contents: every resource's routes, in the order in which paths are matched."""

from migrator.api.v2_1 import flavors, hypervisors, limits, services
from migrator.api.v2_1.actions import dispatch
from migrator.api.v2_1.common.routing import Route
from migrator.api.v2_1.migrations import os_migrations, server_migrations
from migrator.api.v2_1.servers import instance_actions, servers, subresources

ROUTES: tuple[Route, ...] = (
    *servers.ROUTES,
    *dispatch.ROUTES,
    *server_migrations.ROUTES,
    *instance_actions.ROUTES,
    *subresources.ROUTES,
    *os_migrations.ROUTES,
    *services.ROUTES,
    *hypervisors.ROUTES,
    *flavors.ROUTES,
    *limits.ROUTES,
)


def by_path() -> dict[str, list[Route]]:
    """Path -> its routes; literal paths stand before those with a parameter in the same place."""
    table: dict[str, list[Route]] = {}
    for route in sorted(ROUTES, key=lambda r: [part.startswith("{") for part in r.path.split("/")]):
        table.setdefault(route.path, []).append(route)
    return table
