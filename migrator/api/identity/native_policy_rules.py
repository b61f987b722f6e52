"""The part of the policy's table that neither Nova nor the image service has a word for: see ``policy_rules.py``."""

from migrator.api.identity.policy_rule import ADMIN, ours

# fmt: off
NATIVE_RULES = (
    ours("metrics", ADMIN, "Read metrics", "GET /metrics"),
    ours("operations:list", ADMIN, "List operations", "GET /v1/operations"),
    ours("operations:show", ADMIN, "Show an operation", "GET /v1/operations/{ident}",
         "GET /v1/operations/{ident}/timeline", "GET /v1/operations/{ident}/progress"),
    ours("operations:steer", ADMIN, "Steer a running transfer", "POST /v1/operations/{ident}/steer"),
    ours("preflight", ADMIN, "Check moves before they are asked for", "GET /v1/preflight", "GET /v1/cpus"),
    ours("alarms", ADMIN, "List open alarms", "GET /v1/alarms"),
    ours("events", ADMIN, "Follow all that happens", "GET /v1/events"),
    ours("where", ADMIN, "Tell where an instance is, and whether it is safe", "GET /v1/servers/{ident}/where"),
    ours("reconcile", ADMIN, "Compare an instance's record with its copies, and say which is right",
         "GET /v1/servers/{ident}/reconcile", "POST /v1/servers/{ident}/reconcile"),
    ours("kept-disks:list", ADMIN, "List disks that were set aside", "GET /v1/kept-disks"),
    ours("kept-disks:restore", ADMIN, "Put kept disks back", "POST /v1/kept-disks/{instance}/{operation}/restore"),
    ours("kept-disks:drop", ADMIN, "Delete kept disks", "DELETE /v1/kept-disks/{instance}/{operation}"),
    ours("leftovers", ADMIN, "List unused files on hosts", "GET /v1/leftovers"),
    ours("volumes:create", ADMIN, "Make a volume known", "POST /v1/volumes"),
    ours("volumes:list", ADMIN, "List volumes", "GET /v1/volumes"),
    ours("volumes:show", ADMIN, "Show a volume", "GET /v1/volumes/{ident}"),
    ours("volumes:delete", ADMIN, "Forget a volume", "DELETE /v1/volumes/{ident}"),
    ours("networks:create", ADMIN, "Name a network", "POST /v1/networks"),
    ours("networks:list", ADMIN, "List networks with their bridges", "GET /v1/networks"),
    ours("networks:show", ADMIN, "Show a network with its bridge", "GET /v1/networks/{ident}"),
    ours("networks:delete", ADMIN, "Delete a network", "DELETE /v1/networks/{ident}"),
    ours("drains:create", ADMIN, "Drain a host, and bring back what was there", "POST /v1/drains",
         "POST /v1/hosts/{name}/restore"),
    ours("drains:list", ADMIN, "List drains", "GET /v1/drains"),
    ours("drains:show", ADMIN, "Show a drain", "GET /v1/drains/{ident}"),
    ours("drains:change", ADMIN, "Pause, resume or cancel a drain", "POST /v1/drains/{ident}/pause",
         "POST /v1/drains/{ident}/resume", "POST /v1/drains/{ident}/cancel"),
    ours("hosts:list", ADMIN, "List hosts with what they hold", "GET /v1/hosts", "GET /v1/hosts/{name}"),
    ours("capacity", ADMIN, "Tell what the loss of hosts would do", "GET /v1/what-if",
         "GET /v1/capacity"),
    ours("hosts:evacuate", ADMIN, "Evacuate a lost host", "POST /v1/hosts/{name}/evacuate"),
    ours("hosts:replace", ADMIN, "Let another machine be a host", "POST /v1/hosts/{name}/replace"),
    ours("hosts:approve", ADMIN, "Let a host take instances", "POST /v1/hosts/{name}/approve"),
    ours("hosts:fence", ADMIN, "Say where a host is fenced", "PUT /v1/hosts/{name}/fence"),
)
# fmt: on
