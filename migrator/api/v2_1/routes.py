"""The Compute API's table of contents: every resource's routes, in the order in which paths are matched."""

from migrator.api import (
    flavors,
    hypervisors,
    instance_actions,
    migrations,
    os_services,
    server_actions,
    server_migrations,
    server_parts,
    servers,
    small,
)
from migrator.api.routing import Route

ROUTES: tuple[Route, ...] = (
    *servers.ROUTES,
    *server_actions.ROUTES,
    *server_migrations.ROUTES,
    *instance_actions.ROUTES,
    *server_parts.ROUTES,
    *migrations.ROUTES,
    *os_services.ROUTES,
    *hypervisors.ROUTES,
    *flavors.ROUTES,
    *small.ROUTES,
)


def by_path() -> dict[str, list[Route]]:
    """Path -> its routes; literal paths stand before those with a parameter in the same place."""
    table: dict[str, list[Route]] = {}
    for route in sorted(ROUTES, key=lambda r: [part.startswith("{") for part in r.path.split("/")]):
        table.setdefault(route.path, []).append(route)
    return table
