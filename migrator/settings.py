"""Every setting of server and agent: name, type, default, minimum. Names are Nova's where Nova has one.

Read from a TOML file (``MIGRATOR_CONFIG`` or ``--config``) and from ``MIGRATOR_<NAME>`` in the environment, which
wins. A value below its minimum stops the start with name, value and minimum (``SettingInvalid``).
"""

import os
import re
import socket
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from migrator import server_address, setting_values
from migrator.balance_settings import BalanceSettings
from migrator.errors import SettingInvalid
from migrator.ha_settings import HaSettings
from migrator.quota_settings import QuotaSettings
from migrator.setting_values import is_loopback as is_loopback
from migrator.untrusted import peer_address
from migrator.webhook_settings import WebhookSettings

_FLOAT_MAX = 1e9  # s: 31 years
_INT_MAX = 2**53
# Secrets, or values that may hold a password: no error shows them.
_SECRET = ("database", "token", "fence_command", "keystone_password", "keystone_application_credential_secret")


class _Base(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MIGRATOR_", extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _refuse_what_nothing_can_use(self) -> Self:
        """Text that is no path or word of any system call, and numbers that clocks and databases do not have."""
        for name, value in self:
            parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            for part in parts if isinstance(parts, (list, tuple)) else (value,):
                if isinstance(part, (str, Path)) and re.search("[\0\ud800-\udfff]", str(part)):
                    raise ValueError(f"{name}: it has a character that no text has (NUL, or half of a surrogate pair)")
                if isinstance(part, float) and not abs(part) <= _FLOAT_MAX:
                    raise ValueError(f"{name} = {part}: expected {_FLOAT_MAX:g} at most")
                if isinstance(part, int) and abs(part) > _INT_MAX:
                    raise ValueError(f"{name} = {part}: expected {_INT_MAX} at most")
        return self


class ServerSettings(_Base, WebhookSettings, QuotaSettings, HaSettings, BalanceSettings):
    # sqlite:////PATH for one server, or postgresql://USER:PASSWORD@HOST/NAME
    database: str = "sqlite:////var/lib/migrator/migrator.db"
    listen: setting_values.Endpoint = "127.0.0.1:8774"  # HOST:PORT of the API
    # A second door for agents only (credentials required), so that the API may stay on loopback.
    agent_listen: setting_values.Endpoint | None = None
    # http://HOST:PORT or https://HOST:PORT at which hosts reach that door, where a proxy stands before it; `migrator
    # host-join` prints it
    agent_url: Annotated[str, AfterValidator(server_address.checked_url)] | None = None
    agent_tls_cert: Path | None = None  # PEM files; with both of them the agents' port speaks TLS
    agent_tls_key: Path | None = None  # the key of it, without a passphrase
    tls_cert: Path | None = None  # PEM files; with both of them the API speaks TLS; read again when they change
    tls_key: Path | None = None  # the key of it, without a passphrase
    allow_plain_http: bool = False  # at another address than loopback, for a proxy in front that speaks TLS
    # none: every caller is an administrator, at loopback alone; http_basic: a name and a password; keystone: a token
    auth_strategy: Literal["none", "http_basic", "keystone"] = "none"
    http_basic_auth_user_file: Path = Path("/etc/migrator/htpasswd")  # lines that `htpasswd -B` writes
    http_basic_auth_roles_file: Path = Path("/etc/migrator/roles.yaml")  # alice: {project: demo, roles: [member]}
    keystone_auth_url: Annotated[str, AfterValidator(setting_values.web_address)] = ""  # http://controller:5000/v3
    # the address that clients are told; "": the same
    keystone_www_authenticate_uri: Annotated[str, AfterValidator(setting_values.web_address)] = ""
    keystone_cafile: Path | None = None  # a PEM file: the only authority whose certificate of an https:// is accepted
    # this server's own user, which validates tokens (role "service" or "admin"); or an application credential of it
    keystone_username: str = "migrator"
    keystone_password: str = ""  # of that user
    keystone_user_domain_name: str = "Default"  # of that user
    keystone_project_name: str = "service"  # for which that user asks
    keystone_project_domain_name: str = "Default"  # of that project
    keystone_application_credential_id: str = ""  # in place of user and password
    keystone_application_credential_secret: str = ""  # of that credential
    keystone_token_cache_time: float = Field(300.0, ge=1, le=3600)  # s a revoked token may still pass
    keystone_timeout: float = Field(10.0, ge=1, le=60)  # s that Keystone may take for an answer
    policy_file: Path | None = None  # rules that differ from docs/policy.md, in oslo.policy's format
    # names by which clients and agents may call the server, besides loopback's and the address that they reached; while
    # it is empty agents may use any name at agent_listen
    allowed_hosts: tuple[Annotated[str, AfterValidator(setting_values.allowed_host)], ...] = ()
    # addresses and networks of proxies whose X-Forwarded-For, -Host and -Proto are believed; no other sender's are
    trusted_proxies: tuple[Annotated[str, AfterValidator(setting_values.network)], ...] = ()
    # at each of the two addresses; less where the process may not open so many files
    max_connections: int = Field(8192, ge=16)
    max_connections_per_address: int = Field(4096, ge=8)  # agents behind one proxy share an address
    request_head_timeout: float = Field(10.0, ge=1)  # s from a request's first byte to its head's end
    request_body_timeout: float = Field(30.0, ge=1)  # s in which a body ends, or 64 KiB more of it arrive
    image_dir: Path = Path("/var/lib/migrator/images")  # images' files; servers beside one database need the same ones
    # disk_formats that images may have; their content is inspected when it is uploaded
    image_formats: tuple[Literal["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx"], ...] = ("qcow2", "raw", "iso")
    image_size_cap: int = Field(1024**4, ge=1)  # bytes of an image's file, and of the disk in it, at most
    # s without a poll before a host counts as down; a host's list of guests counts as of now for 30 s at the least, for
    # agents list them every 10 s
    service_down_time: float = Field(60.0, gt=0)
    # s that a host that is heard may say nothing of a step before its operation names that as the reason for waiting
    agent_report_timeout: float = Field(60.0, ge=45, le=86400)
    # a host that registers first, or as another machine, takes instances only after `migrator host-approve`
    approve_new_hosts: bool = False
    # when a host was rebooted, start those of its guests that ran (as Nova has it)
    resume_guests_state_on_host_boot: bool = False
    sweep_interval: float = Field(5.0, gt=0)  # s between two looks at every active operation
    shutdown_timeout: int = Field(60, ge=0)  # s a guest gets to shut itself down
    max_concurrent_live_migrations: int = Field(1, ge=0)  # that leave one host at a time; 0: any number
    max_concurrent_builds: int = Field(10, ge=0)  # and moves hither, that one host takes in at a time; 0: any number
    live_migration_downtime: int = Field(500, ge=100)  # ms a guest may be paused at the switch-over, at most
    live_migration_downtime_steps: int = Field(10, ge=3)  # in which that is allowed
    live_migration_downtime_delay: int = Field(75, ge=10)  # s between two steps, per GiB of data
    live_migration_downtime_curve: Literal["exponential", "linear"] = "exponential"  # how the steps grow
    live_migration_completion_timeout: int = Field(800, ge=0)  # s per GiB of data; 0: for ever
    live_migration_progress_timeout: int = Field(150, ge=0)  # s without a new low in bytes remaining; 0: for ever
    live_migration_timeout_action: Literal["abort", "force_complete"] = "abort"  # after either
    live_migration_bandwidth: int = Field(0, ge=0)  # MiB/s, 0: no limit
    live_migration_permit_auto_converge: bool = False  # slows a busy guest down
    live_migration_permit_post_copy: bool = False  # the guest runs at its destination before all memory is there
    # permitted: all that is, is given to the hypervisor; auto: measured, predicted and chosen; else always this one
    live_migration_strategy: Literal["permitted", "pre-copy", "auto-converge", "post-copy", "auto"] = "permitted"
    live_migration_parallel_connections: int = Field(1, ge=1, le=255)  # for memory
    live_migration_compression: Literal["", "xbzrle", "mt"] = ""  # of memory; "": none
    drain_at_most: int = Field(2, ge=1, le=1000)  # moves away from a host at once, unless a drain says else
    drain_at_most_per_destination: int = Field(2, ge=1, le=1000)  # moves into one host at once, of one drain
    drain_at_most_in_fleet: int = Field(20, ge=1, le=10_000)  # of all drains together
    # s between two looks whether the fleet survives the loss of any one host, for the metrics; 0: none
    capacity_check_interval: float = Field(300.0, ge=0)
    resize_confirm_window: int = Field(0, ge=0)  # s after which a move in VERIFY_RESIZE is confirmed; 0: never
    allow_resize_to_same_host: bool = False  # else a resize goes to another host
    # run with a silent host's name, and its address as an operator gave it ({host}, {address}); success is evidence
    fence_command: Annotated[str, AfterValidator(setting_values.command)] = ""
    fence_addresses: dict[str, setting_values.HostAddress] = Field(
        default_factory=dict
    )  # host -> {address}, unless it was set
    fence_timeout: float = Field(60.0, gt=0)  # s the fence command may take
    # an instance whose local disks were lost with its host is made anew from its image; False: 409, bring the host back
    evacuate_rebuilds: bool = True
    evacuate_silent_hosts: bool = False  # policy: silence for service_down_time alone is fencing evidence
    # s before a host fell silent that its last proof in shared storage may have been written; 0: the marker is enough
    shared_storage_proof_max_age: float = Field(900.0, ge=0)
    max_limit: int = Field(1000, ge=1)  # rows a page

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        """What the hypervisor would refuse at each transfer is refused here, once."""
        needed = {"auto-converge": "auto_converge", "post-copy": "post_copy"}.get(self.live_migration_strategy)
        if needed and not getattr(self, f"live_migration_permit_{needed}"):
            raise ValueError(
                f"live_migration_strategy = {self.live_migration_strategy} needs live_migration_permit_{needed} = true"
            )
        parallel = self.live_migration_parallel_connections
        if parallel > 1 and self.live_migration_permit_post_copy:
            raise ValueError(
                f"live_migration_parallel_connections = {parallel} excludes live_migration_permit_post_copy: memory "
                "that is sent over several connections cannot be fetched afterwards"
            )
        if parallel > 1 and self.live_migration_compression:
            raise ValueError(
                f"live_migration_parallel_connections = {parallel} excludes live_migration_compression = "
                f"{self.live_migration_compression}: it compresses what one connection sends"
            )
        return self

    @model_validator(mode="after")
    def _refuse_open_door(self) -> Self:
        if self.auth_strategy == "none" and not is_loopback(self.listen):
            raise ValueError(
                f"listen = {self.listen} is not a loopback address and auth_strategy = none checks no caller; "
                "listen on 127.0.0.1 (agents have agent_listen), or set auth_strategy = http_basic"
            )
        if not (is_loopback(self.listen) or self.tls_cert or self.allow_plain_http):
            raise ValueError(
                f"listen = {self.listen} is not a loopback address and speaks plain HTTP, at which credentials can be "
                "read on their way: set tls_cert and tls_key, or allow_plain_http = true behind a proxy that speaks TLS"
            )
        return self

    @model_validator(mode="after")
    def _refuse_half_of_keystone(self) -> Self:
        if self.auth_strategy != "keystone":
            return self
        if not self.keystone_auth_url:
            raise ValueError("keystone_auth_url is missing, such as http://controller.example:5000/v3")
        named = self.keystone_application_credential_id
        name = "keystone_application_credential_secret" if named else "keystone_password"
        if not getattr(self, name):
            raise ValueError(f"{name} is missing: with it this server asks Keystone about tokens")
        return self

    @model_validator(mode="after")
    def _refuse_half_of_tls(self) -> Self:
        for cert, key in (("tls_cert", "tls_key"), ("agent_tls_cert", "agent_tls_key")):
            missing = [name for name in (cert, key) if getattr(self, name) is None]
            if len(missing) == 1:
                raise ValueError(f"{missing[0]} is missing: {cert} and {key} are given both or neither")
        if self.agent_tls_cert is not None and self.agent_listen is None:
            raise ValueError("agent_tls_cert is for agent_listen, which is not given: HOST:PORT, such as 10.0.0.1:8775")
        return self


class AgentSettings(_Base):
    # http://HOST:PORT or https://HOST:PORT of the server's agent_listen
    server_url: Annotated[str, AfterValidator(server_address.checked_url)] = "http://127.0.0.1:8774"
    server_ca: Path | None = None  # a PEM file: the only authority whose certificate of an https:// server is accepted
    # this host's name, as its credential has it; without it, the machine's
    host: Annotated[str, AfterValidator(setting_values.host)] = Field(default_factory=socket.gethostname)
    token: Annotated[str, AfterValidator(server_address.checked_token)] = ""  # from `migrator agent-join`
    state_path: Path = Path("/var/lib/migrator/agent")  # journal, image cache, consoles
    # pool name -> directory; the same names on every host
    storage: dict[str, Path] = Field(default_factory=lambda: {"local": Path("/var/lib/migrator/instances")})
    default_pool: str = "local"  # of instances whose flavor names none
    libvirt_uri: str = "qemu:///system"  # this host's libvirtd
    virt_type: Literal["kvm", "qemu"] = "kvm"  # qemu: no hardware runs guests
    # what guests see of the processor
    cpu_mode: Literal["host-passthrough", "host-model", "custom", "none"] = "host-model"
    cpu_models: tuple[str, ...] = ()  # for cpu_mode custom; `migrator cpu-baseline` finds them
    machine_type: str | None = None  # without it, libvirt's newest for "pc"
    # the address at which other hosts reach this one; "": the one that reaches the server
    live_migration_inbound_addr: Annotated[str, AfterValidator(peer_address.checked_host)] = ""
    # how other hosts open this one's libvirtd, %s: its address; its query counts where this host opens others alone;
    # "": qemu+tls://%s/system with native TLS, else qemu+tcp://%s/system
    live_migration_uri: Annotated[str, AfterValidator(peer_address.checked_template)] = ""
    live_migration_with_native_tls: bool = False  # memory and disks are encrypted by QEMU, with its own certificates
    networks: dict[str, str] = Field(default_factory=dict)  # network name -> bridge
    reserved_host_memory_mb: int = Field(512, ge=0)  # MiB that no instance gets
    cpu_allocation_ratio: float = Field(4.0, gt=0)  # virtual CPUs for each of the host's
    ram_allocation_ratio: float = Field(1.0, gt=0)  # of what is left after the reserve
    disk_allocation_ratio: float = Field(1.0, gt=0)  # GiB given away for each GiB of a pool
    # s that the local disks of an evacuated instance are kept aside when its host returns; counted while the agent runs
    evacuated_disk_retention: float = Field(7 * 24 * 3600.0, ge=3600)
    # s after which it removes what nothing uses (cached images, consoles' logs, half-made files); counted likewise
    unused_file_retention: float = Field(24 * 3600.0, ge=3600)
    progress_interval: float = Field(0.5, gt=0)  # s between two progress facts of a transfer
    console_interval: float = Field(2.0, gt=0)  # s between two looks at what guests wrote to their consoles
    poll_wait: float = Field(25.0, ge=0, le=55)  # s the server may hold a poll
    simulated: bool = False  # the simulated hypervisor in place of libvirt
    # s without the server after which the agent stops every instance here; 0: never, else at least 30
    self_fencing_lease: Annotated[float, AfterValidator(setting_values.lease)] = 0.0
    watchdog_device: Path | None = None  # /dev/watchdog: resets a host that cannot keep its self-fencing lease

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.server_ca is not None and not self.server_url.startswith("https://"):
            raise ValueError(f"server_ca is for TLS, and server_url = {self.server_url} is without: https://HOST:PORT")
        if self.default_pool not in self.storage:
            raise ValueError(f"default_pool = {self.default_pool} is not one of storage: {', '.join(self.storage)}")
        if self.cpu_mode == "custom" and not self.cpu_models:
            raise ValueError("cpu_mode = custom needs cpu_models, such as ['Westmere']")
        return self

    def migration_uri(self, host: str) -> str:
        """Where other hosts find the libvirtd of ``host`` (an address, bracketed if it is IPv6's)."""
        return self._uri_template().partition("?")[0].replace("%s", host)

    def peer_uri(self, uri: str) -> str:
        """How this host opens the peer that says ``uri`` of itself. Raises ValueError for what is no peer's address."""
        return peer_address.opened(uri, self._uri_template())

    def _uri_template(self) -> str:
        usual = "qemu+tls://%s/system" if self.live_migration_with_native_tls else "qemu+tcp://%s/system"
        return self.live_migration_uri or usual


T = TypeVar("T", bound=_Base)


def load(kind: type[T], path: str | Path | None = None, **overrides: Any) -> T:
    """Settings from file, environment and ``overrides`` (which win). Raises SettingInvalid, naming every bad value."""
    path = path or os.environ.get("MIGRATOR_CONFIG")
    values: dict[str, Any] = {}
    if path:
        try:
            values = tomllib.loads(Path(path).read_text())
        except (OSError, ValueError) as error:  # also what is no UTF-8
            raise SettingInvalid(f"cannot read the configuration {path}: {error}") from error
    environment = {name for name in kind.model_fields if f"MIGRATOR_{name.upper()}" in os.environ}
    values = {k: v for k, v in values.items() if k not in environment} | {
        k: v for k, v in overrides.items() if v is not None
    }
    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingInvalid("; ".join(_sentence(e) for e in error.errors())) from error
    except SettingsError as error:  # a list or a table in the environment that is no JSON
        raise SettingInvalid(f"{error}: in the environment, lists and tables are JSON") from error


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if not name:
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting"
    why = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {why}" if name in _SECRET else f"{name} = {error['input']!r}: {why}"
