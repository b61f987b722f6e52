"""The lab's shared filesystem: GlusterFS, one brick on a machine of its own, mounted in every host.

libvirt calls a path shared when its filesystem is a network's; a directory that two hosts merely both see is "unsafe"
to it. Hence a real network filesystem. Owns glusterd and the volume; hosts mount it through ``mount_command``.
"""

from pathlib import Path

from migrator.errors import LabError
from migrator.lab.layout import SHARED, Layout
from migrator.lab.machine import Machine
from migrator.lab.process import Process, log_tails, wait_until

VOLUME = "shared"
_MOUNTS = (
    ("lib", "/var/lib/glusterd"),
    ("log", "/var/log/glusterfs"),
    ("etc", "/etc/glusterfs"),
    ("run", "/run"),
)
_GLUSTERD_VOL = """volume management
    type mgmt/glusterd
    option working-directory /var/lib/glusterd
    option transport-type socket
    option transport.address-family inet
    option transport.socket.bind-address {address}
    option max-port 60999
end-volume
"""
_OPTIONS = {
    # Caches in the client would show one host what another has already overwritten.
    "performance.quick-read": "off",
    "performance.io-cache": "off",
    "performance.read-ahead": "off",
    "performance.stat-prefetch": "off",
    # A host that was cut off for longer than network.ping-timeout (42 s) has lost the locks on its disks. By default it
    # would nevertheless write on when it is back, beside the guest that holds them now.
    "client.strict-locks": "on",
}


class Storage(Machine):
    """The file server."""

    def __init__(self, layout: Layout, holder: Process | None = None) -> None:
        super().__init__(layout, "gfs", layout.storage_address, _MOUNTS, holder)

    @property
    def brick(self) -> Path:
        """Where the files really lie, as seen from outside."""
        return self.directory / "brick"

    def up(self) -> None:
        for name in ("etc", "brick"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "etc/glusterd.vol").write_text(_GLUSTERD_VOL.format(address=self.address))
        super().up()
        glusterd = self.spawn(["glusterd", "--no-daemon", "--log-level", "WARNING"], "glusterd.log")
        log = self.directory / "glusterd.log"
        wait_until(lambda: self._answers() or not glusterd.alive, 30, "glusterd", [log])
        if not glusterd.alive:
            raise LabError(f"glusterd ended{log_tails([log])}")
        self._gluster("volume", "create", VOLUME, f"{self.address}:{self.brick}", "force")
        for option, value in _OPTIONS.items():
            self._gluster("volume", "set", VOLUME, option, value)
        self._gluster("volume", "start", VOLUME)

    def _answers(self) -> bool:
        return "Number of Peers" in self.run(["gluster", "--mode=script", "peer", "status"], check=False)

    def _gluster(self, *command: str) -> None:
        self.run(["gluster", "--mode=script", *command])


def mount_command(layout: Layout) -> list[str]:
    """What a host runs to mount the volume at ``SHARED``; returns once it is mounted."""
    return ["glusterfs", "-s", layout.storage_address, "--volfile-id", VOLUME, "-l", "/run/glusterfs.log", str(SHARED)]
