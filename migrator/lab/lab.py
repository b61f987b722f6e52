"""The lab: real hosts on one machine, brought up, described and removed without a trace.

Owns the order of things and the state file by which another process finds the lab. ``down`` trusts namespaces before
the state file: whatever lives in a namespace of the lab's name is the lab's, even when ``up`` died half way.
"""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from migrator.errors import LabError
from migrator.lab import network
from migrator.lab.certificates import Authority
from migrator.lab.host import LabHost
from migrator.lab.layout import LOCAL, SHARED, STATE, Layout, check_name
from migrator.lab.machine import need
from migrator.lab.process import Process, end_members, namespaces
from migrator.lab.storage import Storage
from migrator.lab.volumes import VolumeServer

Progress = Callable[[str], None]
_COMMANDS = ("ip", "nsenter", "unshare", "libvirtd", "virsh", "qemu-system-x86_64", "glusterd", "glusterfs")


def _silent(_: str) -> None:
    return None


class Lab:
    """A lab by its name; the object may be made again in another process. ``state_dir`` holds everything it owns.
    ``tls``: it has a certificate authority, each host has certificates, and agents that are started encrypt."""

    def __init__(
        self, name: str = "lab", hosts: int = 3, state_dir: Path | str | None = None, *, tls: bool = False
    ) -> None:
        root = Path(state_dir) if state_dir else STATE / check_name(name)
        self._open(Layout(check_name(name), root.absolute()), hosts, tls)
        if self.layout.state_file.exists():
            self._load(json.loads(self.layout.state_file.read_text()))

    def _open(self, layout: Layout, hosts: int, tls: bool) -> None:
        self.layout = layout
        self._authority = Authority(layout.root / "ca") if tls else None
        self.hosts = [LabHost(layout, number, self._save, self._authority) for number in range(1, hosts + 1)]
        self.storage = Storage(layout)
        self.volumes = VolumeServer(layout)

    @property
    def server_address(self) -> str:
        """The machine's own address on the bridge: where the server's ``agent_listen`` belongs."""
        return self.layout.server_address

    def up(self, progress: Progress = _silent) -> None:
        """Make all hosts, without agents. Raises LabError; what was made until then is removed again."""
        need(*_COMMANDS, *(("openssl",) if self._authority is not None else ()))
        if found := network.leftovers(self.layout):
            raise LabError(f"the lab {self.layout.name} is up already ({found[0]})", advice="migrator lab down")
        subnet = network.free_subnet(self.layout.name)
        self._open(Layout(self.layout.name, self.layout.root, subnet), len(self.hosts), self._authority is not None)
        self._remove_files()
        self.layout.root.mkdir(parents=True)
        self._save()
        try:
            self._up(progress)
        except BaseException:
            self.down()
            raise

    def _up(self, progress: Progress) -> None:
        progress(f"bridge {self.layout.bridge} at {self.layout.server_address}")
        network.add_bridge(self.layout)
        for machine in (self.storage, *self.hosts):
            machine.directory.mkdir()
        if self._authority is not None:
            self._authority.make()
            progress("a certificate authority")
        with ThreadPoolExecutor(len(self.hosts) + 1) as pool:
            shared = pool.submit(self.storage.up)
            for host in self.hosts:
                host.up()
                host.start_libvirtd(wait=False)
                progress(f"host {host.name} at {host.address}")
            shared.result()
            progress(f"GlusterFS at {self.storage.address}")
            list(pool.map(LabHost.mount_shared, self.hosts))
            progress(f"shared filesystem mounted at {SHARED} on every host")
            list(pool.map(LabHost.wait_libvirtd, self.hosts))
        self._save()
        progress("every libvirtd answers")

    def down(self, progress: Progress = _silent) -> None:
        """End and remove everything of the lab; nothing there is no error. Never touches a process outside it."""
        for netns in namespaces(self.layout.prefix):
            end_members(netns)
            progress(f"{netns.removeprefix(self.layout.prefix)} stopped")
        network.remove_all(self.layout)
        self._remove_files()
        progress(f"lab {self.layout.name} removed")

    def status(self) -> dict[str, Any]:
        """``{"name", "up", "server_address", "state_dir", "tls", "hosts": [{"name", "address", "netns", "libvirtd",
        "agent", "guests"}]}``: ``libvirtd`` and ``agent`` are pids or None, ``guests`` the number that run."""
        return {
            "name": self.layout.name,
            "up": bool(namespaces(self.layout.prefix)),
            "server_address": self.layout.server_address if self.layout.subnet else None,
            "state_dir": str(self.layout.root),
            "tls": self._authority is not None,
            "storage": {"local": str(LOCAL), "shared": str(SHARED)},
            "hosts": [_describe(host) for host in self.hosts],
        }

    def _remove_files(self) -> None:
        if not self.layout.root.exists():
            return
        if any(self.layout.root.iterdir()) and not self.layout.state_file.exists():
            raise LabError(f"{self.layout.root} holds files that no lab made", advice="choose another state directory")
        # The state file goes last, so that a removal that was interrupted can be taken up again.
        for entry in self.layout.root.iterdir():
            if entry != self.layout.state_file:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.rmtree(self.layout.root)
        if self.layout.root.parent == STATE and not any(STATE.iterdir()):
            STATE.rmdir()

    def _save(self) -> None:
        state = {
            "name": self.layout.name,
            "subnet": self.layout.subnet,
            "tls": self._authority is not None,
            "storage": _plain(self.storage.holder),
            "hosts": [
                {"holder": _plain(host.holder), "libvirtd": _plain(host.libvirtd), "agent": _plain(host.agent)}
                for host in self.hosts
            ],
        }
        draft = self.layout.state_file.with_suffix(".new")
        draft.write_text(json.dumps(state, indent=1))
        os.replace(draft, self.layout.state_file)

    def _load(self, state: dict[str, Any]) -> None:
        if state["name"] != self.layout.name:
            raise LabError(f"{self.layout.root} belongs to the lab {state['name']}")
        layout = Layout(self.layout.name, self.layout.root, state["subnet"])
        self._open(layout, len(state["hosts"]), bool(state.get("tls")))
        self.storage.holder = _process(state["storage"])
        for host, saved in zip(self.hosts, state["hosts"], strict=True):
            host.holder, host.libvirtd, host.agent = (_process(saved[k]) for k in ("holder", "libvirtd", "agent"))


def _plain(process: Process | None) -> list[int] | None:
    return None if process is None else [process.pid, process.started]


def _process(saved: list[int] | None) -> Process | None:
    return None if saved is None else Process(*saved)


def _describe(host: LabHost) -> dict[str, Any]:
    guests = (host.directory / "run/libvirt/qemu").glob("*.pid")
    return {
        "name": host.name,
        "address": host.address,
        "netns": host.netns,
        "libvirtd": host.libvirtd_pid,
        "agent": host.agent_pid,
        "guests": sum(1 for guest in guests if guest.stem not in ("driver", "autostart")),
    }
