"""The table of the policy: every rule that can be overridden, who passes it by default, and what it is asked for.

Owns names and defaults. They are Nova's, and Glance's for images; what only this server has begins with ``migrator:``.
``docs/policy.md`` is drawn from it. Where a default differs from Nova's, its row says why.
"""

from collections.abc import Mapping
from functools import cache

from migrator.api.identity.native_policy_rules import NATIVE_RULES
from migrator.api.identity.policy_rule import ADMIN, ANY, MANAGER, MEMBER, OWN, READER, Rule, ours

# What other rules are made of; they can be overridden, too.
ALIASES: Mapping[str, str] = {
    "context_is_admin": "role:admin",
    "project_manager_api": "role:manager and project_id:%(project_id)s",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "project_manager_or_admin": "rule:project_manager_api or rule:context_is_admin",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
}
# A role contains those after it, as Keystone's do.
ROLES = ("admin", "manager", "member", "reader")


def _nova(name: str, default: str, about: str, *operations: str) -> Rule:
    return Rule(f"os_compute_api:{name}", default, about, tuple(_compute(one) for one in operations), not operations)


def _compute(operation: str) -> str:
    if operation.startswith("action "):
        return f"POST /v2.1/servers/{{id}}/action ({operation.removeprefix('action ')})"
    method, _, path = operation.partition(" ")
    return f"{method} /v2.1{path}"


# fmt: off
_SERVERS = (
    _nova("servers:index", READER, "List servers", "GET /servers"),
    _nova("servers:detail", READER, "List servers with details", "GET /servers/detail"),
    _nova("servers:index:get_all_tenants", ADMIN, "List servers of all projects"),
    _nova("servers:detail:get_all_tenants", ADMIN, "List servers of all projects with details"),
    _nova("servers:allow_all_filters", ADMIN, "Use every filter of a list of servers"),
    _nova("servers:show", READER, "Show a server", "GET /servers/{id}"),
    _nova("servers:show:host_status", ADMIN, "See whether a server's host is up"),
    _nova("os-extended-server-attributes", ADMIN,
          "See a server's host, names that only operators use, and the hosts in errors"),
    _nova("servers:create", MEMBER, "Create a server", "POST /servers"),
    _nova("servers:create:forced_host", ADMIN, "Create a server on a host without any check (zone:host)"),
    Rule("compute:servers:create:requested_destination", ADMIN, "Create a server on a host that is checked",
         within=True),
    _nova("servers:create:attach_network", MEMBER, "Create a server with networks"),
    _nova("servers:create:attach_volume", ADMIN,
          "Create a server with volumes (Nova: members; a volume here belongs to no project)"),
    _nova("servers:update", MEMBER, "Change a server's name or description", "PUT /servers/{id}"),
    _nova("servers:delete", MEMBER, "Delete a server", "DELETE /servers/{id}"),
    _nova("servers:start", MEMBER, "Start a server", "action os-start"),
    _nova("servers:stop", MEMBER, "Stop a server", "action os-stop"),
    _nova("servers:reboot", MEMBER, "Reboot a server", "action reboot"),
    _nova("servers:resize", MEMBER, "Resize a server", "action resize"),
    _nova("servers:confirm_resize", MEMBER, "Confirm a resize or migration", "action confirmResize"),
    _nova("servers:revert_resize", MEMBER, "Revert a resize or migration", "action revertResize"),
    _nova("servers:rebuild", MEMBER, "Rebuild a server", "action rebuild"),
    _nova("servers:create_image", MEMBER, "Make an image of a server", "action createImage"),
    _nova("servers:trigger_crash_dump", MEMBER, "Let a guest write a crash dump", "action trigger_crash_dump"),
    _nova("os-suspend-server:suspend", MEMBER, "Suspend a server", "action suspend"),
    _nova("os-suspend-server:resume", MEMBER, "Resume a suspended server", "action resume"),
    _nova("os-pause-server:pause", MEMBER, "Pause a server", "action pause"),
    _nova("os-pause-server:unpause", MEMBER, "Let a paused server run", "action unpause"),
    _nova("os-lock-server:lock", MEMBER, "Lock a server", "action lock"),
    _nova("os-lock-server:unlock", MEMBER, "Unlock a server", "action unlock"),
    _nova("os-lock-server:unlock:unlock_override", ADMIN, "Unlock a server that the other side locked"),
    _nova("os-migrate-server:migrate", MANAGER, "Migrate a server", "action migrate"),
    _nova("os-migrate-server:migrate:host", ADMIN, "Migrate a server to a host that is named"),
    _nova("os-migrate-server:migrate_live", MANAGER, "Live-migrate a server", "action os-migrateLive"),
    _nova("os-migrate-server:migrate_live:host", ADMIN, "Live-migrate a server to a host that is named"),
    _nova("os-evacuate", ADMIN, "Evacuate a server", "action evacuate"),
    _nova("os-admin-actions:reset_state", ADMIN, "Set a server's state", "action os-resetState"),
    _nova("os-admin-actions:inject_network_info", ADMIN, "Tell a server its networks again",
          "action injectNetworkInfo"),
    _nova("os-deferred-delete:force", MANAGER, "Delete a server at once", "action forceDelete"),
    _nova("os-deferred-delete:restore", MANAGER, "Restore a deleted server", "action restore"),
    _nova("os-console-output", MEMBER, "Read a server's console", "action os-getConsoleOutput"),
    _nova("os-create-backup", MEMBER, "Back a server up", "action createBackup"),
    _nova("os-rescue", MEMBER, "Rescue a server", "action rescue"),
    _nova("os-unrescue", MEMBER, "End a server's rescue", "action unrescue"),
    _nova("os-shelve:shelve", MEMBER, "Shelve a server", "action shelve"),
    _nova("os-shelve:unshelve", MEMBER, "Unshelve a server", "action unshelve"),
    _nova("os-shelve:shelve_offload", ADMIN, "Remove a shelved server from its host", "action shelveOffload"),
    _nova("os-admin-password", MEMBER, "Change a server's password", "action changePassword"),
    _nova("os-security-groups:add", MEMBER, "Give a server a security group", "action addSecurityGroup"),
    _nova("os-security-groups:remove", MEMBER, "Take a security group from a server", "action removeSecurityGroup"),
    _nova("os-floating-ips:add", MEMBER, "Give a server a floating address", "action addFloatingIp"),
    _nova("os-floating-ips:remove", MEMBER, "Take a floating address from a server", "action removeFloatingIp"),
    _nova("os-remote-consoles", MEMBER, "Open a server's console", "POST /servers/{id}/remote-consoles"),
    _nova("os-server-diagnostics", ADMIN, "See what a running server consists of", "GET /servers/{id}/diagnostics"),
    Rule("compute:server:topology:index", READER, "Show a server's NUMA topology",
         ("GET /v2.1/servers/{id}/topology",)),
    _nova("ips:index", READER, "List a server's addresses", "GET /servers/{id}/ips"),
    _nova("ips:show", READER, "List a server's addresses in one network", "GET /servers/{id}/ips/{network}"),
    _nova("os-attach-interfaces:list", READER, "List a server's ports", "GET /servers/{id}/os-interface"),
    _nova("os-attach-interfaces:show", READER, "Show a server's port", "GET /servers/{id}/os-interface/{port}"),
    _nova("os-attach-interfaces:create", MEMBER, "Give a server a port", "POST /servers/{id}/os-interface"),
    _nova("os-attach-interfaces:delete", MEMBER, "Take a port from a server",
          "DELETE /servers/{id}/os-interface/{port}"),
    _nova("os-security-groups:list", READER, "List a server's security groups",
          "GET /servers/{id}/os-security-groups"),
    _nova("os-volumes-attachments:index", READER, "List a server's volumes", "GET /servers/{id}/os-volume_attachments"),
    _nova("os-volumes-attachments:show", READER, "Show a server's volume",
          "GET /servers/{id}/os-volume_attachments/{volume}"),
    _nova("os-volumes-attachments:create", MEMBER, "Attach a volume", "POST /servers/{id}/os-volume_attachments"),
    _nova("os-volumes-attachments:update", MEMBER, "Change an attachment",
          "PUT /servers/{id}/os-volume_attachments/{volume}"),
    _nova("os-volumes-attachments:delete", MEMBER, "Detach a volume",
          "DELETE /servers/{id}/os-volume_attachments/{volume}"),
    _nova("server-metadata:index", READER, "List a server's metadata", "GET /servers/{id}/metadata"),
    _nova("server-metadata:show", READER, "Show a metadata item", "GET /servers/{id}/metadata/{key}"),
    _nova("server-metadata:create", MEMBER, "Add metadata", "POST /servers/{id}/metadata"),
    _nova("server-metadata:update_all", MEMBER, "Replace all metadata", "PUT /servers/{id}/metadata"),
    _nova("server-metadata:update", MEMBER, "Set a metadata item", "PUT /servers/{id}/metadata/{key}"),
    _nova("server-metadata:delete", MEMBER, "Delete a metadata item", "DELETE /servers/{id}/metadata/{key}"),
    _nova("os-server-tags:index", READER, "List a server's tags", "GET /servers/{id}/tags"),
    _nova("os-server-tags:show", READER, "Tell whether a server has a tag", "GET /servers/{id}/tags/{tag}"),
    _nova("os-server-tags:update_all", MEMBER, "Replace all tags", "PUT /servers/{id}/tags"),
    _nova("os-server-tags:update", MEMBER, "Add a tag", "PUT /servers/{id}/tags/{tag}"),
    _nova("os-server-tags:delete_all", MEMBER, "Delete all tags", "DELETE /servers/{id}/tags"),
    _nova("os-server-tags:delete", MEMBER, "Delete a tag", "DELETE /servers/{id}/tags/{tag}"),
    Rule("compute:server:topology:index", READER, "Show a server's NUMA topology",
         ("GET /v2.1/servers/{id}/topology",)),
    _nova("os-instance-actions:list", READER, "List what was done to a server",
          "GET /servers/{id}/os-instance-actions"),
    _nova("os-instance-actions:show", READER, "Show what was done by one request",
          "GET /servers/{id}/os-instance-actions/{request_id}"),
    _nova("os-instance-actions:events", ADMIN, "See the hosts of what was done, and all of it below 2.51"),
    _nova("os-instance-actions:events:details", ADMIN, "See why a part of it failed"),
    _nova("servers:migrations:index", MANAGER, "List a server's live migrations", "GET /servers/{id}/migrations"),
    _nova("servers:migrations:index:host", ADMIN, "See the hosts of a server's live migrations"),
    _nova("servers:migrations:show", ADMIN, "Show a live migration", "GET /servers/{id}/migrations/{migration_id}"),
    _nova("servers:migrations:delete", MANAGER, "Abort a live migration",
          "DELETE /servers/{id}/migrations/{migration_id}"),
    _nova("servers:migrations:force_complete", MANAGER, "Force a live migration to complete",
          "POST /servers/{id}/migrations/{migration_id}/action"),
)
_CLOUD = (
    _nova("os-migrations:index", MANAGER, "List migrations", "GET /os-migrations"),
    _nova("os-migrations:index:all_projects", ADMIN, "List migrations of all projects"),
    _nova("os-migrations:index:host", ADMIN, "See the hosts of migrations"),
    _nova("os-services:list", ADMIN, "List hosts and their agents", "GET /os-services"),
    _nova("os-services:update", ADMIN, "Enable, disable or force down a host", "PUT /os-services/{id}"),
    _nova("os-services:delete", ADMIN, "Remove a host", "DELETE /os-services/{id}"),
    _nova("os-hypervisors:list", ADMIN, "List hypervisors", "GET /os-hypervisors"),
    _nova("os-hypervisors:list-detail", ADMIN, "List hypervisors with details", "GET /os-hypervisors/detail"),
    _nova("os-hypervisors:statistics", ADMIN, "Sum up all hypervisors", "GET /os-hypervisors/statistics"),
    _nova("os-hypervisors:show", ADMIN, "Show a hypervisor", "GET /os-hypervisors/{id}"),
    _nova("os-hypervisors:uptime", ADMIN, "Show a hypervisor's uptime", "GET /os-hypervisors/{id}/uptime"),
    _nova("os-hypervisors:search", ADMIN, "Find hypervisors by name", "GET /os-hypervisors/{id}/search"),
    _nova("os-hypervisors:servers", ADMIN, "List a hypervisor's servers", "GET /os-hypervisors/{id}/servers"),
    ours("flavors:index", ANY, "List flavors (Nova has no rule)", "GET /v2.1/flavors", "GET /v2.1/flavors/detail"),
    ours("flavors:show", ANY, "Show a flavor (Nova has no rule)", "GET /v2.1/flavors/{id}"),
    _nova("os-flavor-manage:create", ADMIN, "Create a flavor", "POST /flavors"),
    _nova("os-flavor-manage:update", ADMIN, "Change a flavor's description", "PUT /flavors/{id}"),
    _nova("os-flavor-manage:delete", ADMIN, "Delete a flavor", "DELETE /flavors/{id}"),
    _nova("os-flavor-access", ADMIN, "List projects with access to a flavor", "GET /flavors/{id}/os-flavor-access"),
    _nova("os-flavor-access:add_tenant_access", ADMIN, "Give a project access to a flavor",
          "POST /flavors/{id}/action (addTenantAccess)"),
    _nova("os-flavor-access:remove_tenant_access", ADMIN, "Take a project's access to a flavor",
          "POST /flavors/{id}/action (removeTenantAccess)"),
    _nova("os-flavor-extra-specs:index", READER, "List a flavor's extra specs; see them in flavors and servers",
          "GET /flavors/{id}/os-extra_specs"),
    _nova("os-flavor-extra-specs:show", READER, "Show an extra spec", "GET /flavors/{id}/os-extra_specs/{key}"),
    _nova("os-flavor-extra-specs:create", ADMIN, "Add extra specs", "POST /flavors/{id}/os-extra_specs"),
    _nova("os-flavor-extra-specs:update", ADMIN, "Set an extra spec", "PUT /flavors/{id}/os-extra_specs/{key}"),
    _nova("os-flavor-extra-specs:delete", ADMIN, "Delete an extra spec", "DELETE /flavors/{id}/os-extra_specs/{key}"),
    _nova("limits", ANY, "Show limits and what is used", "GET /limits"),
    _nova("limits:other_project", ADMIN, "Show another project's limits"),
    _nova("os-availability-zone:list", READER, "List availability zones", "GET /os-availability-zone"),
    _nova("os-availability-zone:detail", ADMIN, "List availability zones with hosts",
          "GET /os-availability-zone/detail"),
    _nova("os-networks:list", READER, "List networks", "GET /os-networks"),
    _nova("os-networks:show", READER, "Show a network", "GET /os-networks/{id}"),
    _nova("os-keypairs:index", OWN, "List key pairs", "GET /os-keypairs"),
    _nova("os-keypairs:show", OWN, "Show a key pair", "GET /os-keypairs/{name}"),
    _nova("os-keypairs:create", OWN, "Create or import a key pair", "POST /os-keypairs"),
    _nova("os-keypairs:delete", OWN, "Delete a key pair", "DELETE /os-keypairs/{name}"),
    _nova("extensions", ANY, "List extensions", "GET /extensions", "GET /extensions/{alias}"),
    _nova("os-aggregates:index", ADMIN, "List aggregates", "GET /os-aggregates"),
    _nova("os-aggregates:create", ADMIN, "Create an aggregate", "POST /os-aggregates"),
    _nova("os-aggregates:show", ADMIN, "Show an aggregate", "GET /os-aggregates/{id}"),
    _nova("os-aggregates:update", ADMIN, "Change an aggregate", "PUT /os-aggregates/{id}"),
    _nova("os-aggregates:delete", ADMIN, "Delete an aggregate", "DELETE /os-aggregates/{id}"),
    _nova("os-aggregates:add_host", ADMIN, "Add a host to an aggregate", "POST /os-aggregates/{id}/action (add_host)"),
    _nova("os-aggregates:remove_host", ADMIN, "Remove a host from an aggregate",
          "POST /os-aggregates/{id}/action (remove_host)"),
    Rule("compute:aggregates:images", ADMIN, "Fetch images to an aggregate's hosts",
         ("POST /v2.1/os-aggregates/{id}/images",)),
    _nova("os-aggregates:set_metadata", ADMIN, "Set an aggregate's metadata",
          "POST /os-aggregates/{id}/action (set_metadata)"),
    _nova("os-server-groups:index", READER, "List server groups", "GET /os-server-groups"),
    _nova("os-server-groups:index:all_projects", ADMIN, "List server groups of all projects"),
    _nova("os-server-groups:show", READER, "Show a server group", "GET /os-server-groups/{id}"),
    _nova("os-server-groups:create", MEMBER, "Create a server group", "POST /os-server-groups"),
    _nova("os-server-groups:delete", MEMBER, "Delete a server group", "DELETE /os-server-groups/{id}"),
    _nova("os-quota-sets:show", READER, "Show a project's quotas", "GET /os-quota-sets/{id}"),
    _nova("os-quota-sets:detail", READER, "Show a project's quotas and use", "GET /os-quota-sets/{id}/detail"),
    _nova("os-quota-sets:defaults", ANY, "Show default quotas", "GET /os-quota-sets/{id}/defaults"),
    _nova("os-quota-sets:update", ADMIN, "Set a project's quotas", "PUT /os-quota-sets/{id}"),
    _nova("os-quota-sets:delete", ADMIN, "Set a project's quotas back", "DELETE /os-quota-sets/{id}"),
    _nova("os-quota-class-sets:show", ADMIN, "Show a quota class", "GET /os-quota-class-sets/{id}"),
    _nova("os-quota-class-sets:update", ADMIN, "Set a quota class", "PUT /os-quota-class-sets/{id}"),
    _nova("os-simple-tenant-usage:list", ADMIN, "Show the use of all projects", "GET /os-simple-tenant-usage"),
    _nova("os-simple-tenant-usage:show", READER, "Show a project's use", "GET /os-simple-tenant-usage/{id}"),
    _nova("os-hosts:list", ADMIN, "List hosts", "GET /os-hosts"),
    _nova("os-hosts:show", ADMIN, "Show a host", "GET /os-hosts/{id}"),
)
_IMAGES = (
    Rule("get_images", READER, "List images", ("GET /image/v2/images", "GET /v2.1/images", "GET /v2.1/images/detail")),
    Rule("get_image", READER, "Show an image",
         ("GET /image/v2/images/{image_id}", "GET /v2.1/images/{image_id}", "GET /v2.1/images/{image_id}/metadata",
          "GET /v2.1/images/{image_id}/metadata/{key}")),
    Rule("download_image", MEMBER, "Download an image", ("GET /image/v2/images/{image_id}/file",)),
    Rule("add_image", MEMBER, "Create an image without data", ("POST /image/v2/images",)),
    Rule("upload_image", MEMBER, "Upload an image's data", ("PUT /image/v2/images/{image_id}/file",)),
    Rule("delete_image", MEMBER, "Delete an image", ("DELETE /image/v2/images/{image_id}",)),
    Rule("publicize_image", ADMIN, "Create an image that every project sees", within=True),
    Rule("communitize_image", MEMBER, "Create an image that every project may use by its id", within=True),
)
# fmt: on
RULES: Mapping[str, Rule] = {rule.name: rule for part in (_SERVERS, _CLOUD, _IMAGES, NATIVE_RULES) for rule in part}


@cache
def by_operation() -> Mapping[str, Rule]:
    """ "GET /v2.1/servers", or "POST /v2.1/servers/{id}/action (reboot)" -> the rule that it needs."""
    return {operation: rule for rule in RULES.values() for operation in rule.operations}


@cache
def of_action(name: str) -> str:
    """The rule of an action of a server."""
    return by_operation()[_compute(f"action {name}")].name
