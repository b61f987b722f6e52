"""/extensions: Nova's names for the parts of the Compute API that this server has. Data, and how it is shown."""

from typing import Any

from migrator.api.routing import Answer, ApiRequest
from migrator.errors import NotFound

_SERVED = """
OS-DCF | DiskConfig | Disk Management Extension.
OS-EXT-AZ | ExtendedAvailabilityZone | Extended Availability Zone support.
OS-EXT-IPS | ExtendedIps | Adds type parameter to the ip list.
OS-EXT-IPS-MAC | ExtendedIpsMac | Adds mac address parameter to the ip list.
OS-EXT-SRV-ATTR | ExtendedServerAttributes | Extended Server Attributes support.
OS-EXT-STS | ExtendedStatus | Extended Status support.
OS-FLV-DISABLED | FlavorDisabled | Support to show the disabled status of a flavor.
OS-FLV-EXT-DATA | FlavorExtraData | Provide additional data for flavors.
OS-SCH-HNT | SchedulerHints | Pass arbitrary key/value pairs to the scheduler.
OS-SRV-USG | ServerUsage | Adds launched_at and terminated_at on Servers.
os-aggregates | Aggregates | Admin-only aggregate administration.
os-block-device-mapping-v2-boot | BlockDeviceMappingV2Boot | Allow boot with the new BDM data format.
os-config-drive | ConfigDrive | Config Drive Extension.
os-evacuate | Evacuate | Enables server evacuation.
os-extended-evacuate-find-host | ExtendedEvacuateFindHost | Enables server evacuation without target host. \
Scheduler will select one to target.
os-extended-hypervisors | ExtendedHypervisors | Extended hypervisors support.
os-extended-quotas | ExtendedQuotas | Adds ability for admins to delete quota and optionally force the update Quota \
command.
os-extended-services | ExtendedServices | Extended services support.
os-extended-services-delete | ExtendedServicesDelete | Extended services deletion support.
os-extended-status | ExtendedStatus | Extended Status support.
os-extended-volumes | ExtendedVolumes | Extended Volumes support.
os-flavor-access | FlavorAccess | Flavor access support.
os-flavor-extra-specs | FlavorExtraSpecs | Flavors extra specs support.
os-flavor-manage | FlavorManage | Flavor create/delete API support.
os-flavor-rxtx | FlavorRxtx | Support to show the rxtx status of a flavor.
os-flavor-swap | FlavorSwap | Support to show the swap status of a flavor.
os-hosts | Hosts | Admin-only host administration.
os-hypervisor-status | HypervisorStatus | Show hypervisor status.
os-hypervisors | Hypervisors | Admin-only hypervisor administration.
os-instance-actions | InstanceActions | View a log of actions and events taken on an instance.
os-keypairs | Keypairs | Keypair Support.
os-lock-server | LockServer | Enable lock/unlock server actions.
os-migrate-server | MigrateServer | Enable migrate and live-migrate server actions.
os-migrations | Migrations | Provide data on migrations.
os-multiple-create | MultipleCreate | Allow multiple create in the Create Server v2.1 API.
os-pause-server | PauseServer | Enable pause/unpause server actions.
os-quota-class-sets | QuotaClasses | Quota classes management support.
os-quota-sets | Quotas | Quotas management support.
os-server-group-quotas | ServerGroupQuotas | Adds quota support to server groups.
os-server-groups | ServerGroups | Server group support.
os-server-list-multi-status | ServerListMultiStatus | Allow to filter the servers by a set of status values.
os-server-sort-keys | ServerSortKeys | Add sorting support in get Server v2 API.
os-server-start-stop | ServerStartStop | Start/Stop instance compute API support.
os-services | Services | Services support.
os-simple-tenant-usage | SimpleTenantUsage | Simple tenant usage extension.
os-suspend-server | SuspendServer | Enable suspend/resume server actions.
os-used-limits | UsedLimits | Provide data on limited resources that are being used.
os-used-limits-for-admin | UsedLimitsForAdmin | Provide data to admin on limited resources used by other tenants.
"""
_SAME = {
    "links": [],
    "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
    "updated": "2014-12-03T00:00:00Z",
}


def _shown(line: str) -> dict[str, Any]:
    alias, name, description = line.split(" | ")
    return {"alias": alias, "name": name, "description": description, **_SAME}


EXTENSIONS = {row["alias"]: row for row in map(_shown, _SERVED.strip().splitlines())}


def index(_request: ApiRequest) -> Answer:
    return Answer(200, {"extensions": list(EXTENSIONS.values())})


def show(request: ApiRequest) -> Answer:
    found = EXTENSIONS.get(request.params["alias"])
    if found is None:
        raise NotFound("The resource could not be found.")
    return Answer(200, {"extension": found})
