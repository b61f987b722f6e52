"""The table of what a host must have. Pure: what was found in, what is missing out; ``observe`` looks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

CLOCK_S = 5.0  # apart from the server's, which tells whole seconds
ROOM_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Folder:
    """``problem``: why it cannot be used, "" if it can; ``open_to_others``: another user may write into it."""

    path: str
    problem: str = ""
    free_bytes: int = 0
    open_to_others: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What it answered: ``problem`` if it could not be asked at all, else its status, and how far the clocks differ."""

    url: str
    problem: str = ""
    status: int = 0
    clock_s: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen on the host. A text is a problem in words; "": there is none."""

    host: str
    libvirt: str
    migration_uri: str
    port: str
    tls: str
    guests_service: str
    programs: Mapping[str, bool]  # name -> whether it is there
    state: Folder
    server: Server
    pools: Mapping[str, Folder] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """``mend``: the command or the setting that mends it; "" where nothing is missing."""

    check: str
    ok: bool
    found: str
    mend: str = ""


_PACKAGES = {"qemu-img": "qemu-utils", "prlimit": "util-linux", "/dev/kvm": ""}
_NO_KVM = "switch virtualisation on in the firmware and `modprobe kvm_intel` or `kvm_amd`, or set virt_type = qemu"
_LISTEN = (
    "systemctl stop libvirtd.service && systemctl enable --now libvirtd-{0}.socket && systemctl start libvirtd.service "
    "(virtproxyd-{0}.socket where libvirt has a daemon for each part)"
)


def _libvirt(found: Found) -> list[Result]:
    mend = "apt install libvirt-daemon-system && systemctl enable --now libvirtd.socket"
    return [_one("libvirt", found.libvirt, "it answers", mend)]


def _port(found: Found) -> list[Result]:
    way = "tls" if "+tls" in found.migration_uri else "tcp"
    certificates = 'auth_tcp = "none"' if way == "tcp" else "its certificates"
    mend = f"{_LISTEN.format(way)}; /etc/libvirt/libvirtd.conf has {certificates}"
    return [_one("migration-port", found.port, f"{found.migration_uri} opens", mend)]


def _tls(found: Found) -> list[Result]:
    mend = 'put the files of docs/real-hosts.md, "Encrypted migrations", there'
    return [_one("certificates", found.tls, "they hold, or none are needed", mend)]


def _programs(found: Found) -> list[Result]:
    return [
        _one(name, "" if there else f"there is no {name}", "it is there", _mend_program(name))
        for name, there in found.programs.items()
    ]


def _mend_program(name: str) -> str:
    return _NO_KVM if name == "/dev/kvm" else f"apt install {_PACKAGES.get(name, 'qemu-system')}"


def _pools(found: Found) -> list[Result]:
    return [_folder(f"pool {name}", pool) for name, pool in found.pools.items()]


def _state(found: Found) -> list[Result]:
    folder = found.state
    if not folder.problem and folder.open_to_others:
        return [Result("journal", False, f"other users may write into {folder.path}", f"chmod go-w {folder.path}")]
    return [_folder("journal", folder)]


def _folder(check: str, folder: Folder) -> Result:
    if folder.problem:
        return Result(check, False, folder.problem, f"mount its storage, or install -d -m 711 {folder.path}")
    if folder.free_bytes < ROOM_BYTES:
        return Result(check, False, f"{folder.path} has less than 1 GiB free", f"free room: du -xsh {folder.path}/*")
    return Result(check, True, f"{folder.path}, {folder.free_bytes // ROOM_BYTES} GiB free")


def _server(found: Found) -> list[Result]:
    server = found.server
    mend = "set server_url to the server's agent_listen, server_ca to its authority; is migrator-server running?"
    return [_one("server", server.problem, f"{server.url} answers", mend)]


def _credential(found: Found) -> list[Result]:
    status, mend = found.server.status, f"migrator agent-credential {found.host}, on the server; set token to it"
    problem = f"the server answered {status}" if status in (401, 403) else ""
    problem = problem or (f"unknown: {found.server.problem}" if found.server.problem else "")
    if not problem and status >= 500:
        return [Result("credential", False, f"the server answered {status}", "journalctl -u migrator-server")]
    return [_one("credential", problem, "it is accepted", mend)]


def _clock(found: Found) -> list[Result]:
    apart = found.server.clock_s
    if apart is None:
        return [Result("clock", False, "unknown: the server did not tell its time", "see the check server")]
    problem = f"it is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the server's"
    mend = "timedatectl set-ntp true, on both"
    return [_one("clock", problem if abs(apart) > CLOCK_S else "", "it agrees with the server's", mend)]


def _guests_service(found: Found) -> list[Result]:
    mend = "systemctl mask --now libvirt-guests"
    return [_one("libvirt-guests", found.guests_service, "it starts no guests", mend)]


def _one(check: str, problem: str, well: str, mend: str) -> Result:
    return Result(check, not problem, problem or well, mend if problem else "")


CHECKS: tuple[Callable[[Found], list[Result]], ...] = (
    _libvirt,
    _port,
    _tls,
    _programs,
    _pools,
    _state,
    _server,
    _credential,
    _clock,
    _guests_service,
)


def results(found: Found) -> list[Result]:
    return [result for check in CHECKS for result in check(found)]
