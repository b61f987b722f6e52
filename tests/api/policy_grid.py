"""Who passes each operation, written down a second time: the lowest role that does, in its own project. A change of a
default is a change here, too."""

LOWEST: dict[str, str] = {
    "admin": """
        POST /v2.1/servers/{id}/action (evacuate)
        POST /v2.1/servers/{id}/action (os-resetState)
        GET /v2.1/servers/{id}/migrations/{migration_id}
        GET /v2.1/os-services
        PUT /v2.1/os-services/{id}
        DELETE /v2.1/os-services/{id}
        GET /v2.1/os-hypervisors
        GET /v2.1/os-hypervisors/detail
        GET /v2.1/os-hypervisors/statistics
        GET /v2.1/os-hypervisors/{id}
        GET /v2.1/os-hypervisors/{id}/uptime
        GET /v2.1/os-hypervisors/{id}/search
        GET /v2.1/os-hypervisors/{id}/servers
        POST /v2.1/flavors
        PUT /v2.1/flavors/{id}
        DELETE /v2.1/flavors/{id}
        GET /v2.1/flavors/{id}/os-flavor-access
        POST /v2.1/flavors/{id}/action (addTenantAccess)
        POST /v2.1/flavors/{id}/action (removeTenantAccess)
        POST /v2.1/flavors/{id}/os-extra_specs
        PUT /v2.1/flavors/{id}/os-extra_specs/{key}
        DELETE /v2.1/flavors/{id}/os-extra_specs/{key}
        GET /v2.1/os-availability-zone/detail
        GET /v2.1/os-aggregates
        GET /v2.1/servers/{id}/diagnostics
        POST /v2.1/os-aggregates
        GET /v2.1/os-aggregates/{id}
        PUT /v2.1/os-aggregates/{id}
        DELETE /v2.1/os-aggregates/{id}
        POST /v2.1/os-aggregates/{id}/action (add_host)
        POST /v2.1/os-aggregates/{id}/action (remove_host)
        POST /v2.1/os-aggregates/{id}/action (set_metadata)
        POST /v2.1/os-aggregates/{id}/images
        PUT /v2.1/os-quota-sets/{id}
        DELETE /v2.1/os-quota-sets/{id}
        GET /v2.1/os-quota-class-sets/{id}
        PUT /v2.1/os-quota-class-sets/{id}
        GET /v2.1/os-simple-tenant-usage
        GET /v2.1/os-hosts
        GET /v2.1/os-hosts/{id}
        GET /metrics
        GET /v1/operations
        GET /v1/operations/{ident}
        GET /v1/operations/{ident}/timeline
        GET /v1/operations/{ident}/progress
        POST /v1/operations/{ident}/steer
        GET /v1/preflight
        GET /v1/cpus
        GET /v1/alarms
        GET /v1/hosts
        GET /v1/hosts/{name}
        GET /v1/events
        GET /v1/servers/{ident}/where
        GET /v1/servers/{ident}/reconcile
        POST /v1/servers/{ident}/reconcile
        GET /v1/kept-disks
        POST /v1/kept-disks/{instance}/{operation}/restore
        DELETE /v1/kept-disks/{instance}/{operation}
        GET /v1/leftovers
        GET /v1/drains
        POST /v1/webhooks
        GET /v1/webhooks
        GET /v1/webhooks/{ident}/deliveries
        DELETE /v1/webhooks/{ident}
        POST /v1/drains
        GET /v1/drains/{ident}
        POST /v1/drains/{ident}/pause
        POST /v1/drains/{ident}/resume
        POST /v1/drains/{ident}/cancel
        POST /v1/notifications
        GET /v1/recoveries
        GET /v1/recoveries/{ident}
        POST /v1/hosts/{name}/restore
        GET /v1/what-if
        GET /v1/capacity
        GET /v1/usage
        GET /v1/rebalances
        POST /v1/rebalances
        GET /v1/rebalances/{ident}
        POST /v1/rebalances/{ident}/accept
        POST /v1/volumes
        GET /v1/volumes
        GET /v1/volumes/{ident}
        DELETE /v1/volumes/{ident}
        POST /v1/networks
        GET /v1/networks
        GET /v1/networks/{ident}
        DELETE /v1/networks/{ident}
        POST /v1/hosts/{name}/evacuate
        POST /v1/hosts/{name}/join
        POST /v1/hosts/{name}/replace
        POST /v1/hosts/{name}/approve
        PUT /v1/hosts/{name}/fence
    """,
    "manager": """
        POST /v2.1/servers/{id}/action (migrate)
        POST /v2.1/servers/{id}/action (forceDelete)
        POST /v2.1/servers/{id}/action (os-migrateLive)
        GET /v2.1/servers/{id}/migrations
        DELETE /v2.1/servers/{id}/migrations/{migration_id}
        POST /v2.1/servers/{id}/migrations/{migration_id}/action
        GET /v2.1/os-migrations
    """,
    "member": """
        POST /v2.1/servers
        PUT /v2.1/servers/{id}
        DELETE /v2.1/servers/{id}
        POST /v2.1/servers/{id}/action (os-start)
        POST /v2.1/servers/{id}/action (os-stop)
        POST /v2.1/servers/{id}/action (reboot)
        POST /v2.1/servers/{id}/action (resize)
        POST /v2.1/servers/{id}/action (confirmResize)
        POST /v2.1/servers/{id}/action (revertResize)
        POST /v2.1/servers/{id}/action (suspend)
        POST /v2.1/servers/{id}/action (resume)
        POST /v2.1/servers/{id}/action (pause)
        POST /v2.1/servers/{id}/action (unpause)
        POST /v2.1/servers/{id}/action (os-getConsoleOutput)
        POST /v2.1/servers/{id}/action (lock)
        POST /v2.1/servers/{id}/action (unlock)
        POST /v2.1/servers/{id}/os-interface
        DELETE /v2.1/servers/{id}/os-interface/{port}
        POST /v2.1/servers/{id}/os-volume_attachments
        PUT /v2.1/servers/{id}/os-volume_attachments/{volume}
        DELETE /v2.1/servers/{id}/os-volume_attachments/{volume}
        POST /v2.1/servers/{id}/metadata
        PUT /v2.1/servers/{id}/metadata
        PUT /v2.1/servers/{id}/metadata/{key}
        DELETE /v2.1/servers/{id}/metadata/{key}
        PUT /v2.1/servers/{id}/tags
        PUT /v2.1/servers/{id}/tags/{tag}
        DELETE /v2.1/servers/{id}/tags
        DELETE /v2.1/servers/{id}/tags/{tag}
        POST /v2.1/os-server-groups
        DELETE /v2.1/os-server-groups/{id}
        GET /image/v2/images/{image_id}/file
        POST /image/v2/images
        PUT /image/v2/images/{image_id}/file
        DELETE /image/v2/images/{image_id}
    """,
    "reader": """
        GET /v2.1/servers
        GET /v2.1/servers/detail
        GET /v2.1/servers/{id}
        GET /v2.1/servers/{id}/topology
        GET /v2.1/servers/{id}/ips
        GET /v2.1/servers/{id}/ips/{network}
        GET /v2.1/servers/{id}/os-interface
        GET /v2.1/servers/{id}/os-interface/{port}
        GET /v2.1/servers/{id}/os-security-groups
        GET /v2.1/servers/{id}/os-volume_attachments
        GET /v2.1/servers/{id}/os-volume_attachments/{volume}
        GET /v2.1/servers/{id}/metadata
        GET /v2.1/servers/{id}/metadata/{key}
        GET /v2.1/servers/{id}/tags
        GET /v2.1/servers/{id}/tags/{tag}
        GET /v2.1/servers/{id}/os-instance-actions
        GET /v2.1/servers/{id}/os-instance-actions/{request_id}
        GET /v2.1/flavors/{id}/os-extra_specs
        GET /v2.1/flavors/{id}/os-extra_specs/{key}
        GET /v2.1/servers/{id}/topology
        GET /v2.1/os-simple-tenant-usage/{id}
        GET /v2.1/os-quota-sets/{id}
        GET /v2.1/os-quota-sets/{id}/detail
        GET /v2.1/os-server-groups
        GET /v2.1/os-server-groups/{id}
        GET /v2.1/os-availability-zone
        GET /v2.1/os-networks
        GET /v2.1/os-networks/{id}
        GET /image/v2/images
        GET /image/v2/images/{image_id}
        GET /v2.1/images
        GET /v2.1/images/detail
        GET /v2.1/images/{image_id}
        GET /v2.1/images/{image_id}/metadata
        GET /v2.1/images/{image_id}/metadata/{key}
    """,
    "any": """
        GET /v2.1/flavors
        GET /v2.1/flavors/detail
        GET /v2.1/flavors/{id}
        GET /v2.1/limits
        GET /identity/v3/projects/{id}
        GET /volume/v3/limits
        GET /v2.1/os-quota-sets/{id}/defaults
        GET /v2.1/os-keypairs
        POST /v2.1/os-keypairs
        GET /v2.1/os-keypairs/{name}
        DELETE /v2.1/os-keypairs/{name}
        GET /v2.1/extensions
        GET /v2.1/extensions/{alias}
    """,
}
