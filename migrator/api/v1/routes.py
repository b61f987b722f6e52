"""Every URL of ``/v1``: a part of the table in ``urls.py``, whose columns it has."""

from migrator.api.routing import Access, Route, admin
from migrator.api.v1 import (
    alarms,
    drains,
    hosts,
    kept_disks,
    leftovers,
    networks,
    operations,
    preflight,
    reconcile,
    volumes,
)


def operator(rule: str) -> Access:
    return admin(f"migrator:{rule}")


# fmt: off
NATIVE = (
    Route("GET", "/operations", operations.index, operator("operations:list"), "List operations",
          query=operations.OperationsQuery),
    Route("GET", "/operations/{ident}", operations.show, operator("operations:show"), "Show an operation"),
    Route("GET", "/operations/{ident}/timeline", operations.timeline, operator("operations:show"),
          "Show all that happened in an operation"),
    Route("GET", "/operations/{ident}/progress", operations.series, operator("operations:show"),
          "Show a transfer's counters over time"),
    Route("POST", "/operations/{ident}/steer", operations.steer, operator("operations:steer"),
          "Steer a running transfer", body=operations.SteerRequest),
    Route("GET", "/preflight", preflight.show, operator("preflight"), "Check moves before anybody asks for them",
          query=preflight.PreflightQuery),
    Route("GET", "/cpus", preflight.cpus, operator("preflight"), "List what CPUs hosts can give",
          query=preflight.CpusQuery),
    Route("GET", "/alarms", alarms.index, operator("alarms"), "List open alarms", query=alarms.AlarmsQuery),
    Route("GET", "/servers/{ident}/reconcile", reconcile.show, operator("reconcile"),
          "Compare an instance's record with its copies"),
    Route("POST", "/servers/{ident}/reconcile", reconcile.take, operator("reconcile"),
          "Say which copy of an instance is right", body=reconcile.Said),
    Route("GET", "/kept-disks", kept_disks.index, operator("kept-disks:list"), "List disks that were set aside",
          query=kept_disks.KeptDisksQuery),
    Route("POST", "/kept-disks/{instance}/{operation}/restore", kept_disks.restore, operator("kept-disks:restore"),
          "Put kept disks back", path_model=kept_disks.KeptDisksPath),
    Route("DELETE", "/kept-disks/{instance}/{operation}", kept_disks.drop, operator("kept-disks:drop"),
          "Delete kept disks", path_model=kept_disks.KeptDisksPath),
    Route("GET", "/leftovers", leftovers.index, operator("leftovers"), "List unused files on hosts",
          query=leftovers.LeftoversQuery),
    Route("POST", "/volumes", volumes.create, operator("volumes:create"), "Make a volume known", body=volumes.Wish),
    Route("GET", "/volumes", volumes.index, operator("volumes:list"), "List volumes"),
    Route("GET", "/volumes/{ident}", volumes.show, operator("volumes:show"), "Show a volume"),
    Route("DELETE", "/volumes/{ident}", volumes.forget, operator("volumes:delete"), "Forget a volume"),
    Route("POST", "/networks", networks.create, operator("networks:create"), "Name a network", body=networks.Wish),
    Route("GET", "/networks", networks.index, operator("networks:list"), "List networks"),
    Route("GET", "/networks/{ident}", networks.show, operator("networks:show"), "Show a network"),
    Route("DELETE", "/networks/{ident}", networks.delete, operator("networks:delete"), "Delete a network"),
    Route("POST", "/drains", drains.create, operator("drains:create"), "Move all instances away from a host",
          body=drains.NewDrain),
    Route("GET", "/drains", drains.index, operator("drains:list"), "List drains", query=drains.DrainsQuery),
    Route("GET", "/drains/{ident}", drains.show, operator("drains:show"), "Show a drain, its plan and its moves"),
    Route("POST", "/drains/{ident}/pause", drains.pause, operator("drains:change"), "Begin no further move"),
    Route("POST", "/drains/{ident}/resume", drains.resume, operator("drains:change"), "Let a paused drain go on"),
    Route("POST", "/drains/{ident}/cancel", drains.cancel, operator("drains:change"), "End a drain",
          body=drains.Cancellation),
    Route("POST", "/hosts/{name}/restore", drains.restore, operator("drains:create"),
          "Bring back what a drain took away", path_model=hosts.HostPath),
    Route("POST", "/hosts/{name}/replace", hosts.replace, operator("hosts:replace"), "Let another machine be a host",
          body=hosts.Replacement, path_model=hosts.HostPath),
    Route("POST", "/hosts/{name}/approve", hosts.approve, operator("hosts:approve"), "Let a host take instances",
          body=hosts.Approval, path_model=hosts.HostPath),
    Route("PUT", "/hosts/{name}/fence", hosts.fence, operator("hosts:fence"), "Say where a host is fenced",
          body=hosts.Fence, path_model=hosts.HostPath),
)
