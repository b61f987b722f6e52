"""What a person does about each error code, for ``docs/errors.md``. Owns the words; the errors' own sentences, which
know names and numbers, say more."""

from collections.abc import Mapping

_NAME = "look up the name or the id with the matching list; another project's are not shown"
_LATER = "nothing: clients and agents ask again after `Retry-After`"
_HOST_LOG = "the operation's reason has the host's own words; then `journalctl -u migrator-agent -u libvirtd` there"
_OTHER_MACHINE = "`migrator alarms` says which machine; see `second-machine` below"
_FREE = "find the pool's free space, mount and permissions on that host"
_UNSAFE = (
    "do not start it by hand: a guest may have written this to read its host's files; look at the disk with"
    " `qemu-img info -U`"
)

ADVICE: Mapping[str, str] = {
    "internal_error": "a defect, unless the sentence says otherwise: report it with the request's id and the log",
    "bad_request": "change the request as the sentence says",
    "setting_invalid": "correct the value in the configuration ([settings](settings.md))",
    "not_found": _NAME,
    "instance_not_found": f"{_NAME}: `migrator list`",
    "host_not_found": "`migrator service-list` has the names",
    "flavor_not_found": "`migrator flavor-list`",
    "image_not_found": "`migrator image-list`",
    "server_group_not_found": "`openstack server group list`",
    "key_pair_not_found": "`openstack keypair list`; a key pair belongs to one user",
    "volume_not_found": "`migrator volume-list`",
    "network_not_found": "`migrator network-list`",
    "operation_not_found": "`migrator timeline SERVER` has the numbers",
    "drain_not_found": "`migrator drain-list`",
    "conflict": "`migrator where SERVER` says which state it is in; wait, or end what is in the way",
    "instance_busy": "wait for the other operation, or abort it: `migrator timeline SERVER`",
    "other_machine": _OTHER_MACHINE,
    "name_taken": _OTHER_MACHINE,
    "machine_not_approved": "if the old machine is gone for good: `migrator host-replace HOST`",
    "protocol_unsupported": "[upgrade](upgrade.md) the side that the sentence names",
    "already_exists": "choose another name, or use what is there",
    "addresses_used_up": "give the network another range, or delete servers that hold addresses",
    "incarnation_superseded": "see that one agent alone runs on the host, and leave an older copy of its journal out",
    "forbidden": "a role that the rule allows ([policy](policy.md)); the answer names the rule",
    "quota_exceeded": "delete something, or raise the limit: `openstack limits show --absolute`, `quota_...`",
    "unauthorized": "a credential ([authentication](authentication.md)); an agent's: `migrator agent-credential HOST`",
    "not_offered": "[what is served](supported.md) says what to use in its place",
    "key_missing": "restore the table `keys` from a backup of this database ([backup](backup.md))",
    "stale_row": "nothing: the server decides again; a client asks again",
    "hypervisor_error": _HOST_LOG,
    "hypervisor_unavailable": "start libvirtd on that host; its guests run on",
    "domain_not_found": "`migrator where SERVER`; `migrator start SERVER` defines it anew from its disks",
    "storage_error": _FREE,
    "disk_being_read": "wait: the operation goes on when its tables were read",
    "unsafe_disk": _UNSAFE,
    "unsafe_domain": _UNSAFE,
    "image_unavailable": "see that the server has the file (`migrator image-list`), and that the host reaches it",
    "server_unreachable": "start the server, or correct the address: `--url`, `MIGRATOR_URL`, the agent's `server_url`",
    "server_distrusted": "look at authority, name and end of `agent_tls_cert`, and at the agent's `server_ca`",
    "unavailable": _LATER,
    "database_unavailable": "bring PostgreSQL back; agents and clients ask again",
    "database_newer": "install the newer release here, too, or restore the backup of before the upgrade",
    "server_busy": _LATER,
    "too_many_requests": "ask less often from one address, or wait for `Retry-After`",
    "library_missing": "install the part that the sentence names",
    "lab_error": "`migrator lab down`, then up again",
}
