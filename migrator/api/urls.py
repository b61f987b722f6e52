"""Every URL that the server answers: method, path, handler, who may call it, and what it is for.

One table for all surfaces; the gate, the router, the OpenAPI document and the tests read it, and nothing is served that
is not in it. The rows of ``/v1`` stand in ``v1/routes.py``, those of Nova's proxies in ``v2_1/proxied_routes.py``. A
handler's module says what the route takes and gives; ``routing.py`` what the columns mean.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from migrator.api import discovery, metrics, openapi, projects
from migrator.api.agent_v1 import routes as agents
from migrator.api.dashboard import assets
from migrator.api.image_v2 import images
from migrator.api.process.admission import Kind
from migrator.api.routing import (
    ANYBODY,
    CALLER,
    URL_PROJECT,
    Access,
    Answer,
    ApiRequest,
    Route,
    Surface,
    admin,
    agent,
    below,
)
from migrator.api.v1.routes import NATIVE, operator
from migrator.api.v2_1 import (
    aggregates,
    extensions,
    flavor_access,
    flavors,
    hypervisors,
    keypairs,
    limits,
    quotas,
    server_groups,
    services,
    usage,
    zones,
)
from migrator.api.v2_1.actions import dispatch
from migrator.api.v2_1.migrations import os_migrations, server_migrations
from migrator.api.v2_1.proxied_routes import PROXIED
from migrator.api.v2_1.servers import diagnostics, instance_actions, interfaces, query, schemas, servers, subresources
from migrator.protocol import Consoles, Facts, Poll, Registration, Survey, message_sizes

IMAGE_PREFIXES = ("/image/v2", "/v2", "/v2.1/v2")  # where `openstack`, Glance clients and `nova` look


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of this table."""
    return openapi.document(ROUTES)


def _openapi(_request: ApiRequest) -> Answer:
    return Answer(200, document())


def _nova(rule: str) -> Access:
    return admin(f"os_compute_api:{rule}")


# fmt: off
_DISCOVERY = (
    Route("GET", "/", assets.front_page, ANYBODY, "The versions of the Compute API; for browsers the dashboard"),
    Route("GET", "/v2.1", discovery.this_version, ANYBODY, "The Compute API's version and microversions"),
    Route("GET", "/v2.1/", discovery.this_version, ANYBODY, "The same", documented=False),
    Route("GET", "/v1", discovery.native_version, ANYBODY, "The version that Masakari's clients look for"),
    Route("GET", "/v1/", discovery.native_version, ANYBODY, "The same", documented=False),
    Route("GET", "/v2", discovery.old_version, ANYBODY, "The description of v2.0, of which nothing is served"),
    Route("GET", "/v2/", discovery.old_version, ANYBODY, "The same", documented=False),
    Route("GET", "/identity", discovery.identity, ANYBODY, "The version of identity that clients look for"),
    Route("GET", "/identity/v3", discovery.identity, ANYBODY, "The same", documented=False),
    Route("GET", "/identity/v3/", discovery.identity, ANYBODY, "The same", documented=False),
    Route("GET", "/identity/v3/projects/{id}", projects.show, CALLER, "Find a project: any name is one",
          path_model=quotas.IdPath),
    Route("GET", "/image", discovery.image_versions, ANYBODY, "The versions of the image API"),
    Route("GET", "/image/", discovery.image_versions, ANYBODY, "The same", documented=False),
    Route("GET", "/image/v2", discovery.image_versions, ANYBODY, "The same", documented=False),
    Route("GET", "/image/v2/", discovery.image_versions, ANYBODY, "The same", documented=False),
    Route("GET", "/image/versions", discovery.image_versions, ANYBODY, "The same", documented=False),
    Route("GET", "/volume/v3", discovery.volume_versions, ANYBODY, "The version of a service without volumes"),
    Route("GET", "/volume/v3/limits", discovery.volume_limits, CALLER, "Limits of volumes: none"),
    Route("GET", "/openapi.json", _openapi, ANYBODY, "This document"),
    Route("GET", "/healthz", discovery.health, ANYBODY, "Whether the process answers"),
    Route("GET", "/metrics", metrics.metrics, operator("metrics"), "What Prometheus reads"),
)
_DASHBOARD = tuple(  # each file by its own path, which is a new one whenever any of them changes
    Route("GET", asset.path, asset.serve, ANYBODY, "A file of the dashboard", documented=False)
    for asset in assets.files()
)
_AGENTS = (
    Route("PUT", "/hosts/{name}", agents.register, agent(Kind.REGISTRATION), "Describe a host",
          body=Registration, largest=message_sizes.REGISTRATION),
    Route("POST", "/hosts/{name}/poll", agents.poll, agent(Kind.POLL), "Wait for a host's assignments",
          body=Poll, largest=message_sizes.POLL),
    Route("POST", "/hosts/{name}/facts", agents.put_facts, agent(Kind.FACTS), "Report what the agent found",
          body=Facts, largest=message_sizes.FACTS),
    Route("GET", "/hosts/{name}/questions", agents.questions, agent(Kind.QUESTIONS), "What to survey",
          largest=message_sizes.OTHERS),
    Route("PUT", "/hosts/{name}/survey", agents.put_survey, agent(Kind.SURVEY), "Report a survey",
          body=Survey, largest=message_sizes.SURVEY),
    Route("PUT", "/hosts/{name}/consoles", agents.put_consoles, agent(Kind.CONSOLES), "Report what guests wrote",
          body=Consoles, largest=message_sizes.CONSOLES),
    Route("POST", "/join", agents.join, agent(Kind.JOIN), "Take a join token for a credential",
          largest=message_sizes.OTHERS),
    Route("GET", "/images/{image_id}/file", agents.image_file, agent(Kind.IMAGE), "Fetch an assigned image",
          largest=message_sizes.OTHERS),
)
_IMAGES = (
    Route("GET", "/images", images.index, CALLER, "List images"),
    Route("POST", "/images", images.create, CALLER, "Create an image without data"),
    Route("GET", "/images/{image_id}", images.show, CALLER, "Show an image"),
    Route("DELETE", "/images/{image_id}", images.delete, CALLER, "Delete an image"),
    Route("PUT", "/images/{image_id}/file", images.upload, CALLER, "Upload an image's data", octets=True),
    Route("GET", "/images/{image_id}/file", images.download, CALLER, "Download an image's data"),
)
COMPUTE = (
    Route("POST", "/servers", servers.create, CALLER, "Create a server", body=schemas.CREATE),
    Route("GET", "/servers", servers.index, CALLER, "List servers", query=schemas.LIST_QUERY,
          costly=query.searches),
    Route("GET", "/servers/detail", servers.detail, CALLER, "List servers with details", query=schemas.LIST_QUERY,
          costly=query.searches),
    Route("GET", "/servers/{id}", servers.show, CALLER, "Show a server"),
    Route("PUT", "/servers/{id}", servers.rename, CALLER, "Change a server's name or description", body=schemas.UPDATE),
    Route("DELETE", "/servers/{id}", servers.delete, CALLER, "Delete a server", held_by_lock=True),
    Route("POST", "/servers/{id}/action", dispatch.act, CALLER, "Act on a server: migrate, evacuate, power, resize"),
    Route("GET", "/servers/{id}/migrations", server_migrations.index, CALLER, "List a server's live migrations",
          since=(2, 23)),
    Route("GET", "/servers/{id}/migrations/{migration_id}", server_migrations.show, CALLER, "Show a live migration",
          since=(2, 23)),
    Route("DELETE", "/servers/{id}/migrations/{migration_id}", server_migrations.abort, CALLER,
          "Abort a live migration", since=(2, 24), held_by_lock=True),
    Route("POST", "/servers/{id}/migrations/{migration_id}/action", server_migrations.act, CALLER,
          "Force a live migration to complete", since=(2, 22), held_by_lock=True),
    Route("GET", "/servers/{id}/os-instance-actions", instance_actions.index, CALLER, "List what was done to a server",
          query=schemas.ACTIONS_QUERY),
    Route("GET", "/servers/{id}/os-instance-actions/{request_id}", instance_actions.show, CALLER,
          "Show what was done by one request"),
    Route("GET", "/servers/{id}/metadata", subresources.list_metadata, CALLER, "List a server's metadata"),
    Route("POST", "/servers/{id}/metadata", subresources.merge_metadata, CALLER, "Add metadata",
          body=schemas.METADATA_BODY, held_by_lock=True),
    Route("PUT", "/servers/{id}/metadata", subresources.replace_metadata, CALLER, "Replace all metadata",
          body=schemas.METADATA_BODY, held_by_lock=True),
    Route("GET", "/servers/{id}/metadata/{key}", subresources.show_meta, CALLER, "Show a metadata item"),
    Route("PUT", "/servers/{id}/metadata/{key}", subresources.put_meta, CALLER, "Set a metadata item",
          body=schemas.META_BODY, held_by_lock=True),
    Route("DELETE", "/servers/{id}/metadata/{key}", subresources.delete_meta, CALLER, "Delete a metadata item",
          held_by_lock=True),
    Route("GET", "/servers/{id}/tags", subresources.list_tags, CALLER, "List a server's tags", since=(2, 26)),
    Route("PUT", "/servers/{id}/tags", subresources.replace_tags, CALLER, "Replace all tags",
          since=(2, 26), body=schemas.TAGS_BODY),
    Route("DELETE", "/servers/{id}/tags", subresources.delete_tags, CALLER, "Delete all tags", since=(2, 26)),
    Route("GET", "/servers/{id}/tags/{tag}", subresources.show_tag, CALLER, "Tell whether a server has a tag",
          since=(2, 26)),
    Route("PUT", "/servers/{id}/tags/{tag}", subresources.put_tag, CALLER, "Add a tag", since=(2, 26)),
    Route("DELETE", "/servers/{id}/tags/{tag}", subresources.delete_tag, CALLER, "Delete a tag", since=(2, 26)),
    Route("GET", "/servers/{id}/diagnostics", diagnostics.show, CALLER, "Show what a running server consists of"),
    Route("GET", "/servers/{id}/ips", interfaces.addresses, CALLER, "List a server's addresses"),
    Route("GET", "/servers/{id}/ips/{network}", interfaces.of_network, CALLER,
          "List a server's addresses in one network"),
    Route("GET", "/servers/{id}/os-interface", interfaces.index, CALLER, "List a server's ports"),
    Route("POST", "/servers/{id}/os-interface", interfaces.change, CALLER, "Give a server a port: not offered"),
    Route("GET", "/servers/{id}/os-interface/{port}", interfaces.show, CALLER, "Show a server's port"),
    Route("DELETE", "/servers/{id}/os-interface/{port}", interfaces.change, CALLER,
          "Take a port from a server: not offered"),
    Route("GET", "/servers/{id}/os-security-groups", subresources.security_groups, CALLER,
          "List a server's security groups"),
    Route("GET", "/servers/{id}/topology", subresources.topology, CALLER, "Show a server's NUMA topology: it has none",
          since=(2, 78)),
    Route("GET", "/servers/{id}/os-volume_attachments", subresources.volumes, CALLER, "List a server's volumes",
          query=subresources.VOLUMES_QUERY),
    Route("POST", "/servers/{id}/os-volume_attachments", subresources.change_volumes, CALLER,
          "Attach a volume: not offered"),
    Route("GET", "/servers/{id}/os-volume_attachments/{volume}", subresources.volume, CALLER,
          "Show an attached volume"),
    Route("PUT", "/servers/{id}/os-volume_attachments/{volume}", subresources.change_volumes, CALLER,
          "Change an attachment: not offered"),
    Route("DELETE", "/servers/{id}/os-volume_attachments/{volume}", subresources.change_volumes, CALLER,
          "Detach a volume: not offered"),
    Route("GET", "/os-migrations", os_migrations.index, CALLER, "List migrations of all servers",
          query=schemas.MIGRATIONS_QUERY),
    Route("GET", "/os-services", services.index, _nova("os-services:list"), "List hosts and their agents",
          query=services.QUERY),
    Route("PUT", "/os-services/{id}", services.update, _nova("os-services:update"),
          "Enable, disable or force down a host", body=services.BODY),
    Route("DELETE", "/os-services/{id}", services.delete, _nova("os-services:delete"), "Remove a host"),
    Route("GET", "/os-hypervisors", hypervisors.index, _nova("os-hypervisors:list"), "List hypervisors",
          query=hypervisors.QUERY),
    Route("GET", "/os-hypervisors/detail", hypervisors.detail, _nova("os-hypervisors:list-detail"),
          "List hypervisors with details", query=hypervisors.QUERY),
    Route("GET", "/os-hypervisors/statistics", hypervisors.statistics, _nova("os-hypervisors:statistics"),
          "Sum up all hypervisors", until=(2, 87)),
    Route("GET", "/os-hypervisors/{id}", hypervisors.show, _nova("os-hypervisors:show"), "Show a hypervisor",
          query=hypervisors.SHOW_QUERY),
    Route("GET", "/os-hypervisors/{id}/uptime", hypervisors.uptime, _nova("os-hypervisors:uptime"),
          "Show a hypervisor's uptime", until=(2, 87)),
    Route("GET", "/os-hypervisors/{id}/search", hypervisors.search, _nova("os-hypervisors:search"),
          "Find hypervisors by name", until=(2, 52)),
    Route("GET", "/os-hypervisors/{id}/servers", hypervisors.servers, _nova("os-hypervisors:servers"),
          "List a hypervisor's servers", until=(2, 52)),
    Route("GET", "/flavors", flavors.index, CALLER, "List flavors", query=flavors.QUERY),
    Route("GET", "/flavors/detail", flavors.detail, CALLER, "List flavors with details", query=flavors.QUERY),
    Route("POST", "/flavors", flavors.create, _nova("os-flavor-manage:create"), "Create a flavor", body=flavors.CREATE),
    Route("GET", "/flavors/{id}", flavors.show, CALLER, "Show a flavor"),
    Route("PUT", "/flavors/{id}", flavors.update, _nova("os-flavor-manage:update"), "Change a flavor's description",
          since=(2, 55), body=flavors.UPDATE),
    Route("DELETE", "/flavors/{id}", flavors.delete, _nova("os-flavor-manage:delete"), "Delete a flavor"),
    Route("POST", "/flavors/{id}/action", flavor_access.change, CALLER, "Give or take a project access to a flavor",
          body=flavor_access.ACTION),
    Route("GET", "/flavors/{id}/os-flavor-access", flavor_access.index, CALLER,
          "List projects with access to a flavor"),
    Route("GET", "/flavors/{id}/os-extra_specs", flavors.list_specs, CALLER, "List a flavor's extra specs"),
    Route("POST", "/flavors/{id}/os-extra_specs", flavors.add_specs, _nova("os-flavor-extra-specs:create"),
          "Add extra specs", body=flavors.EXTRA),
    Route("GET", "/flavors/{id}/os-extra_specs/{key}", flavors.show_spec, CALLER, "Show an extra spec"),
    Route("PUT", "/flavors/{id}/os-extra_specs/{key}", flavors.put_spec, _nova("os-flavor-extra-specs:update"),
          "Set an extra spec", body=flavors.ONE_EXTRA),
    Route("DELETE", "/flavors/{id}/os-extra_specs/{key}", flavors.delete_spec, _nova("os-flavor-extra-specs:delete"),
          "Delete an extra spec"),
    Route("GET", "/os-aggregates", aggregates.index, _nova("os-aggregates:index"), "List aggregates"),
    Route("POST", "/os-aggregates", aggregates.create, _nova("os-aggregates:create"), "Create an aggregate",
          body=aggregates.CREATE),
    Route("GET", "/os-aggregates/{id}", aggregates.show, _nova("os-aggregates:show"), "Show an aggregate"),
    Route("PUT", "/os-aggregates/{id}", aggregates.update, _nova("os-aggregates:update"), "Change an aggregate",
          body=aggregates.UPDATE),
    Route("DELETE", "/os-aggregates/{id}", aggregates.delete, _nova("os-aggregates:delete"), "Delete an aggregate"),
    Route("POST", "/os-aggregates/{id}/action", aggregates.act, CALLER,
          "Add or remove a host, or set an aggregate's metadata"),
    Route("POST", "/os-aggregates/{id}/images", aggregates.images, admin("compute:aggregates:images"),
          "Fetch images to the hosts of an aggregate: not offered", since=(2, 81)),
    Route("GET", "/os-hosts", zones.hosts_index, _nova("os-hosts:list"), "List hosts", until=(2, 42),
          query=zones.HOSTS_QUERY),
    Route("GET", "/os-hosts/{id}", zones.hosts_show, _nova("os-hosts:show"), "Show a host's capacity", until=(2, 42)),
    Route("GET", "/os-server-groups", server_groups.index, CALLER, "List server groups", query=server_groups.QUERY),
    Route("POST", "/os-server-groups", server_groups.create, CALLER, "Create a server group",
          body=server_groups.CREATE),
    Route("GET", "/os-server-groups/{id}", server_groups.show, CALLER, "Show a server group"),
    Route("DELETE", "/os-server-groups/{id}", server_groups.delete, CALLER, "Delete a server group"),
    Route("GET", "/limits", limits.limits, CALLER, "Show limits and what is used", query=limits.LIMITS_QUERY),
    Route("GET", "/os-availability-zone", zones.index, CALLER, "List availability zones"),
    Route("GET", "/os-availability-zone/detail", zones.detail, _nova("os-availability-zone:detail"),
          "List availability zones with hosts"),
    *PROXIED,
    Route("GET", "/os-keypairs", keypairs.index, CALLER, "List key pairs", query=keypairs.QUERY),
    Route("POST", "/os-keypairs", keypairs.create, CALLER, "Create or import a key pair", body=keypairs.CREATE),
    Route("GET", "/os-keypairs/{name}", keypairs.show, CALLER, "Show a key pair", query=keypairs.ONE_QUERY),
    Route("DELETE", "/os-keypairs/{name}", keypairs.delete, CALLER, "Delete a key pair", query=keypairs.ONE_QUERY),
    Route("GET", "/os-quota-sets/{id}", quotas.show, CALLER, "Show a project's quotas", query=quotas.QUERY,
          path_model=quotas.IdPath),
    Route("GET", "/os-quota-sets/{id}/detail", quotas.detail, CALLER, "Show a project's quotas and use",
          query=quotas.QUERY, path_model=quotas.IdPath),
    Route("GET", "/os-quota-sets/{id}/defaults", quotas.defaults, CALLER, "Show default quotas",
          path_model=quotas.IdPath),
    Route("PUT", "/os-quota-sets/{id}", quotas.update, _nova("os-quota-sets:update"), "Set a project's quotas",
          body=quotas.UPDATE, query=quotas.QUERY, path_model=quotas.IdPath),
    Route("DELETE", "/os-quota-sets/{id}", quotas.delete, _nova("os-quota-sets:delete"),
          "Set a project's quotas back", query=quotas.QUERY, path_model=quotas.IdPath),
    Route("GET", "/os-quota-class-sets/{id}", quotas.show_class, _nova("os-quota-class-sets:show"),
          "Show a quota class", path_model=quotas.IdPath),
    Route("PUT", "/os-quota-class-sets/{id}", quotas.update_class, _nova("os-quota-class-sets:update"),
          "Set a quota class", body=quotas.UPDATE_CLASS, path_model=quotas.IdPath),
    Route("GET", "/os-simple-tenant-usage", usage.index, _nova("os-simple-tenant-usage:list"),
          "Show what all projects have used", query=usage.LIST_QUERY),
    Route("GET", "/os-simple-tenant-usage/{id}", usage.show, CALLER, "Show what a project has used",
          query=usage.SHOW_QUERY),
    Route("GET", "/extensions", extensions.index, CALLER, "List extensions"),
    Route("GET", "/extensions/{alias}", extensions.show, CALLER, "Show an extension"),
)
# fmt: on
ROUTES: tuple[Route, ...] = (
    *_DISCOVERY,
    *_DASHBOARD,
    *below("/agent/v1", Surface.AGENT, _AGENTS),
    *below("/v1", Surface.NATIVE, NATIVE),
    *below(IMAGE_PREFIXES[0], Surface.IMAGES, _IMAGES),
    *(one for prefix in IMAGE_PREFIXES[1:] for one in below(prefix, Surface.IMAGES, _IMAGES, documented=False)),
    *below("/v2.1", Surface.COMPUTE, COMPUTE),
)


def by_path() -> Mapping[str, Sequence[Route]]:
    """Path -> its rows; literal paths stand before those with a parameter in the same place. The Compute API stands at
    two places, as Nova's: catalogs may have the caller's project in its address."""
    table: dict[str, list[Route]] = {}
    placed = [(path, route) for route in ROUTES for path in _places(route)]
    for path, route in sorted(placed, key=lambda row: [part.startswith("{") for part in row[0].split("/")]):
        table.setdefault(path, []).append(route)
    return table


def _places(route: Route) -> Sequence[str]:
    if route.surface is not Surface.COMPUTE:
        return (route.path,)
    return route.path, f"/v2.1/{{{URL_PROJECT}}}{route.path.removeprefix('/v2.1')}"
