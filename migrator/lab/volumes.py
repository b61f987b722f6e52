"""The lab's volumes: raw files served over NBD by a machine of their own, which is made with the first of them.

Owns one qemu-nbd a volume. Nothing here locks a volume against a second writer: that is what is tested.
"""

from pathlib import Path

from migrator.errors import LabError
from migrator.lab.layout import Layout
from migrator.lab.machine import Machine, need
from migrator.lab.process import Process, log_tails, run, wait_until

_FIRST_PORT = 10809


class VolumeServer(Machine):
    def __init__(self, layout: Layout, holder: Process | None = None) -> None:
        super().__init__(layout, "nbd", layout.volumes_address, (), holder)
        self._served: dict[str, Process] = {}

    def serve(self, name: str, size: str = "1G") -> str:
        """An empty volume, and where every host reaches it: ``nbd://...``. Raises LabError."""
        need("qemu-nbd", "qemu-img")
        if self.holder is None or not self.holder.alive:
            self.directory.mkdir(exist_ok=True)
            self.up()
        port = _FIRST_PORT + len(self._served)
        run("qemu-img", "create", "-q", "-f", "raw", str(self.file(name)), size)
        # As many clients as come: both ends of a move are connected at once.
        command = ["qemu-nbd", "--persistent", "--shared=0", "-f", "raw", "--cache=writeback", "--bind", self.address]
        command += ["--port", str(port), "--export-name", name, str(self.file(name))]
        server = self._served[name] = self.spawn(command, f"{name}.log")
        source = f"nbd://{self.address}:{port}/{name}"
        log = self.directory / f"{name}.log"
        wait_until(lambda: self._answers(source) or not server.alive, 10, f"the volume {name}", [log])
        if not server.alive:
            raise LabError(f"qemu-nbd ended{log_tails([log])}")
        return source

    def file(self, name: str) -> Path:
        """Where its bytes really lie, as seen from outside."""
        return self.directory / f"{name}.raw"

    def passed_bytes(self) -> int:
        """By its link so far, in both directions."""
        counted = self.run(["cat", "/proc/net/dev"]).splitlines()
        rows = [line.split(":")[1].split() for line in counted[2:] if not line.strip().startswith("lo:")]
        return sum(int(row[0]) + int(row[8]) for row in rows)

    def _answers(self, source: str) -> bool:
        return "virtual" in self.run(["qemu-img", "info", "--force-share", "-f", "raw", source], check=False)
