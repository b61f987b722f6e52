"""Every check that is made before a move, as data: its code, what it asks, and what to do when it fails.

The codes are stable: the API, the CLI, an operation's error and an agent's ``CheckResult`` use them alike. Who compares
what is written elsewhere: ``scheduler/checks/filters.py`` with what is known of every host,
``compute/compatibility.py`` on the hosts themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    code: str
    asks: str
    advice: str  # what to do when it fails


_TABLE = (
    Check(
        "instance",
        "does the instance run, or is it paused, on a host that answers, with nothing else being done to it?",
        "wait for what is being done, or for its host; one that is stopped or suspended moves with `migrator"
        " migrate SERVER`, and away from a host that is lost with `migrator evacuate SERVER`",
    ),
    Check(
        "devices",
        "is the guest free of devices of its host?",
        "detach them, or move the instance cold, without them: `migrator migrate SERVER`",
    ),
    Check("source", "is the destination another host than the source?", "choose another host"),
    Check(
        "cleaned",
        "has the destination cleaned up what it had of the instance before?",
        "let its agent finish, or choose another host",
    ),
    Check("up", "does the destination's agent answer?", "start its agent; see `migrator service-list`"),
    Check("enabled", "may the destination take instances?", "enable it: `migrator service-enable HOST`"),
    Check(
        "zone",
        "is the destination in the availability zone that the instance is pinned to?",
        "choose a host of that zone, or unpin the instance: `openstack server unset --pinned-availability-zone SERVER`",
    ),
    Check(
        "aggregate",
        "is the destination in an aggregate with the metadata that the flavor asks for?",
        "choose a host of such an aggregate, or add the host to it: `openstack aggregate add host AGGREGATE HOST`",
    ),
    Check(
        "server_group",
        "does the instance's server group allow the destination?",
        "choose another host; move the members that are in the way first, or delete the group:"
        " `openstack server group delete GROUP`",
    ),
    Check(
        "same_host",
        "is the destination the host of an instance that the hint same_host names?",
        "move the named instance there first",
    ),
    Check(
        "different_host",
        "is the destination free of the instances that a hint different_host keeps apart?",
        "choose another host, or move the other instance away first",
    ),
    Check("vcpus", "are there vCPUs left?", "choose another host, or raise cpu_allocation_ratio"),
    Check(
        "memory",
        "is there RAM left, under the destination's ram_allocation_ratio?",
        "choose another host, move something away from this one, or raise ram_allocation_ratio",
    ),
    Check(
        "disk",
        "is there room for the disks?",
        "free some space, choose another host, or raise disk_allocation_ratio",
    ),
    Check(
        "storage",
        "has the destination the pools, and does the request agree with what is shared?",
        "configure the pool in its agent's storage; leave block_migration at auto",
    ),
    Check(
        "image",
        "can the destination fetch the images under the disks, and kernel and ramdisk, where it does not share them?",
        "register the image again under its id, with the same bytes",
    ),
    Check(
        "volumes",
        "does the destination reach the instance's volumes, as large as they are known to be?",
        "let the volume's server serve it, and the destination's firewall pass it; see `migrator volume-list`",
    ),
    Check(
        "network",
        "has the destination a bridge for every network?",
        "make the network's bridge there (`migrator network-list`), or add the network to the agent's setting networks",
    ),
    Check("arch", "has the destination the guest's architecture?", "choose a host of the guest's architecture"),
    Check(
        "machine_type",
        "does the destination know the guest's machine type?",
        "install a QEMU at least as new as the source's",
    ),
    Check(
        "hypervisor_version",
        "is the destination's hypervisor at least as new as the source's?",
        "upgrade the destination's QEMU, or choose a host with a newer one",
    ),
    Check(
        "cpu",
        "has the destination every feature of the guest's real CPU?",
        "choose a host with these features, or set cpu_mode = custom with a model that all hosts have",
    ),
    Check(
        "uri",
        "does the source's hypervisor reach the destination's migration URI?",
        "let libvirt listen there and the firewall pass it; see live_migration_uri, live_migration_inbound_addr",
    ),
    Check(
        "uri_back",
        "does the destination's hypervisor reach the source's migration URI?",
        "let libvirt listen there and the firewall pass it; see live_migration_uri, live_migration_inbound_addr",
    ),
    Check("clock", "do the two hosts' clocks agree?", "synchronise both (chrony or ntpd)"),
    Check(
        "console",
        "do the guest's consoles listen on addresses that the destination has?",
        "let them listen on 0.0.0.0 or 127.0.0.1, or move the instance cold: `migrator migrate SERVER`",
    ),
    Check(
        "tls",
        "do both hosts encrypt migrations, with certificates that hold, or neither?",
        "set live_migration_with_native_tls alike; give each host certificates of one CA for its migration address",
    ),
)
CHECKS: Mapping[str, Check] = {check.code: check for check in _TABLE}
