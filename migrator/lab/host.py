"""A host of the lab: a machine with a libvirtd of its own, the shared filesystem, a local disk, and maybe an agent.

Owns libvirtd's and the agent's configuration and life. Never talks to libvirt: tests and the agent do.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from migrator.errors import LabError
from migrator.lab.certificates import PKI, QEMU_PKI, Authority, install_libvirt, install_qemu
from migrator.lab.layout import AGENT, BRIDGE_INSIDE, HOME, LOCAL, MOUNTS, PROGRAMS, SHARED, Layout
from migrator.lab.machine import Machine
from migrator.lab.process import Process, log_tails, wait_until
from migrator.lab.storage import mount_command

EMULATOR = "qemu-system-x86_64"
_LIBVIRTD_CONF = """host_uuid = "{uuid}"
listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
listen_addr = "{address}"
"""
# No virtlogd, no cgroups, no device namespaces: none of them could be told from the machine's own.
_QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
migration_address = "{address}"
"""
_LIBVIRTD_TLS = f"""listen_tls = 1
ca_file = "{PKI}/cacert.pem"
cert_file = "{PKI}/servercert.pem"
key_file = "{PKI}/serverkey.pem"
"""
_QEMU_TLS = f"""default_tls_x509_cert_dir = "{QEMU_PKI}"
default_tls_x509_verify = 1
"""
_NO_TLS = "listen_tls = 0\n"


class LabHost(Machine):
    """``number`` counts from 1. ``save`` is called whenever a process was started, so that another one can end it.
    ``authority``: gives it its certificates; without one it has none, and encrypts nothing."""

    def __init__(
        self, layout: Layout, number: int, save: Callable[[], None], authority: Authority | None = None
    ) -> None:
        super().__init__(layout, layout.host_name(number), layout.host_address(number), MOUNTS)
        self.number = number
        self.libvirtd: Process | None = None
        self.agent: Process | None = None
        self._save = save
        self._authority = authority

    @property
    def uri(self) -> str:
        """For a libvirt client outside the host."""
        return f"qemu+tcp://{self.address}/system"

    @property
    def libvirtd_pid(self) -> int | None:
        return self.libvirtd.pid if self.libvirtd and self.libvirtd.alive else None

    @property
    def agent_pid(self) -> int | None:
        return self.agent.pid if self.agent and self.agent.alive else None

    def up(self) -> None:
        """Namespaces, mounts, the local disk's directory. libvirtd and the shared filesystem are steps of their own."""
        (self.directory / "etc/qemu").mkdir(parents=True)
        (self.directory / "etc/libvirt.conf").touch()
        values = {"uuid": self.layout.host_uuid(self.number), "address": self.address}
        libvirtd, qemu = (_NO_TLS, "") if self._authority is None else (_LIBVIRTD_TLS, _QEMU_TLS)
        (self.directory / "etc/libvirtd.conf").write_text(_LIBVIRTD_CONF.format(**values) + libvirtd)
        (self.directory / "etc/qemu.conf").write_text(_QEMU_CONF.format(**values) + qemu)
        if self._authority is not None:
            pair = self._authority.certify(self.name, self.address)
            install_libvirt(self._pki(PKI), self._authority, pair)
            install_qemu(self._pki(QEMU_PKI), self._authority, pair)
        names = [f"{self.layout.host_address(n)} {self.layout.host_name(n)}" for n in range(1, 100)]
        (self.directory / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
        for inside in (LOCAL, SHARED, AGENT, PROGRAMS):
            self.outside(inside).mkdir(parents=True)
        self._put_emulator()
        super().up()

    def _put_emulator(self) -> None:
        """What libvirtd takes for QEMU; the file itself says why."""
        program = self.outside(PROGRAMS) / EMULATOR
        program.write_bytes(resources.files("migrator.lab").joinpath("emulator", EMULATOR).read_bytes())
        program.chmod(0o755)

    def _pki(self, inside: Path) -> Path:
        return self.directory / "etc" / inside.relative_to("/etc/libvirt")

    def certify_qemu(self, *, days: int = 365, address: str = "") -> None:
        """Give its QEMU a certificate anew, for its own address or another one; -1 ``days``: expired."""
        if self._authority is None:
            raise LabError(f"{self.name} has no certificates", advice="migrator lab up --tls")
        pair = self._authority.certify(self.name, address or self.address, days)
        install_qemu(self._pki(QEMU_PKI), self._authority, pair)

    def mount_shared(self) -> None:
        self.run(mount_command(self.layout))

    def outside(self, inside: Path) -> Path:
        """Where a path below ``HOME`` on the host lies on the machine. Not for ``SHARED``: that is a mount."""
        return self.directory / "lib" / inside.relative_to(HOME.parent)

    def console_log(self, uuid: str) -> Path:
        """The file that the instance's console is written to while it runs here, as seen from outside."""
        return self.outside(AGENT) / "consoles" / f"{uuid}.log"

    def start_libvirtd(self, *, wait: bool = True) -> None:
        """Start libvirtd, and wait until it answers. No-op when it runs."""
        if self.libvirtd_pid is None:
            self.libvirtd = self.spawn(["libvirtd", "-l"], "libvirtd.log", {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"})
            self._save()
        if wait:
            self.wait_libvirtd()

    def wait_libvirtd(self) -> None:
        """Until it answers on its address. Raises LabError when it ended."""
        log = self.directory / "libvirtd.log"
        wait_until(lambda: self.libvirtd_pid is None or self._answers(), 60, f"libvirtd of {self.name}", [log])
        if self.libvirtd_pid is None:
            raise LabError(f"libvirtd of {self.name} ended{log_tails([log])}")

    def _answers(self) -> bool:
        return bool(self.run(["virsh", "-c", self.uri, "hostname"], check=False, timeout=20).strip())

    def kill_libvirtd(self, number: int = signal.SIGKILL) -> None:
        """Signal it and, when the signal is deadly, wait until it is gone. Guests run on."""
        if self.libvirtd is not None:
            _kill(self.libvirtd, number)

    def start_agent(self, server_url: str, token: str, *, tls: bool | None = None) -> None:
        """Write the agent's configuration and start it inside the host. No-op when it runs. ``tls``: whether it
        encrypts migrations; None: if the host has certificates."""
        if self.agent_pid is not None:
            return
        config = self.directory / "agent.toml"
        config.write_text(self._agent_config(server_url, token, self._authority is not None if tls is None else tls))
        command = [sys.executable, "-m", "migrator.cli.main", "agent", "--config", str(config)]
        env = {"PYTHONPATH": str(Path(__file__).parents[2])} | {k: "" for k in os.environ if k == "MIGRATOR_CONFIG"}
        self.agent = self.spawn(command, "agent.log", env)
        self._save()

    def kill_agent(self, number: int = signal.SIGKILL) -> None:
        if self.agent is not None:
            _kill(self.agent, number)

    def power_off(self) -> None:
        """As if its power were cut: libvirtd, agent and every guest are gone at once, and what they kept in /run.

        Its mount of the shared filesystem stays, so that locks of dead guests are gone at once too.
        """
        keep = {self.holder.pid if self.holder else 0, *self._mounts_pids()}

        def dead() -> bool:
            found = [process for process in self.processes() if process.pid not in keep]
            for process in found:
                process.send(signal.SIGKILL)
            return not found

        wait_until(dead, 10, f"the processes of {self.name} to end")
        shutil.rmtree(self.directory / "run/libvirt", ignore_errors=True)

    def power_on(self) -> None:
        """libvirtd runs again, and no guest does. The agent is started by ``start_agent``."""
        self.start_libvirtd()

    def _mounts_pids(self) -> list[int]:
        """Of the processes that carry its mounts."""

        def command(process: Process) -> str:
            with contextlib.suppress(OSError):
                return Path(f"/proc/{process.pid}/comm").read_text().strip()
            return ""

        return [process.pid for process in self.processes() if command(process) == "glusterfs"]

    def _agent_config(self, server_url: str, token: str, tls: bool) -> str:
        values: dict[str, str | bool] = {
            "server_url": server_url,
            "host": self.name,
            "token": token,
            "state_path": str(AGENT),
            "default_pool": "local",
            "virt_type": "qemu",  # /dev/kvm's presence proves nothing
            "cpu_mode": "none",
            "live_migration_inbound_addr": self.address,
        }
        if tls:
            values |= {
                "live_migration_with_native_tls": True,
                "live_migration_uri": f"qemu+tls://%s/system?pkipath={PKI}",
            }
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines += ["[storage]", f'local = "{LOCAL}"', f'shared = "{SHARED}"']
        lines += ["[networks]", f'lab = "{BRIDGE_INSIDE}"']
        return "\n".join(lines) + "\n"


def _kill(process: Process, number: int) -> None:
    if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process.end(number)
    else:
        process.send(number)
