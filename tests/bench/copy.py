"""A disk copied from one real host to another: by our driver, by qemu-img to a remote NBD server, and by rsync.

They take turns over the same disk; every way's clock stops when the target is on the disk (fsync).
"""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrator.compute.driver import Driver
from migrator.lab import Lab, LabHost
from migrator.lab.image import KERNEL_ARGS, build_guest
from migrator.lab.layout import LOCAL
from migrator.lab.process import wait_until
from migrator.protocol import CopiedInputs, DiskSpec, InstanceSpec
from tests.contract.libvirt_hosts import DISK, KERNEL, RAMDISK, agent_settings
from tests.contract.remote_driver import remote

VIRTUAL_GIB = 2
DATA_MIB = int(os.environ.get("BENCH_COPY_MIB", "1024"))
RUN_MIB = 4  # data and holes take turns in runs of this size
ROUNDS = int(os.environ.get("BENCH_COPY_ROUNDS", "5"))
LOOK_S = 0.02
UUID = "b3b7a1de-0c8e-4f5e-9a53-2f7f6f0f7a01"
TARGET = LOCAL / "bench-target"
_RSYNCD = "use chroot = no\nuid = 0\ngid = 0\n[bench]\npath = {path}\nread only = no\n"


@dataclass
class Bench:
    """Two hosts, a driver inside each, and the disk as the source's own processes see it."""

    here: LabHost
    there: LabHost
    source: Driver
    destination: Driver
    spec: InstanceSpec
    inputs: CopiedInputs
    images: dict[str, Path]
    disk: Path

    def ours(self) -> float:
        self.source.offer(self.spec, ("vda",))
        begin = time.perf_counter()
        self.destination.start_copy(self.spec, self.inputs, self.images)
        while (job := self.destination.copy_job(UUID)) is None or job.active:
            time.sleep(LOOK_S)
        took = time.perf_counter() - begin
        if error := self.destination.copy_error(UUID):
            raise error
        return took

    def checksums(self) -> float:
        """What both hosts then work out, side by side: seconds until both have one. Raises when they differ."""
        begin = time.perf_counter()
        sums: list[Mapping[str, str] | None] = [None, None]
        while None in sums:
            sums = [driver.checksums(self.spec, ("vda",)) for driver in (self.source, self.destination)]
            time.sleep(LOOK_S)
        if sums[0] != sums[1]:
            raise RuntimeError("the copy differs from its source")
        return time.perf_counter() - begin

    def by_nbd(self) -> float:
        target = str(TARGET / "disk")
        self.there.run(["truncate", "-s", f"{VIRTUAL_GIB}G", target])
        with _serving(self.there, ["qemu-nbd", "-f", "raw", "-b", self.there.address, "-t", "-p", "10809", target]):
            convert = ["qemu-img", "convert", "-n", "--target-is-zero", "-f", "raw", "-O", "raw", str(self.disk)]
            return self._timed([*convert, f"nbd://{self.there.address}:10809"], target)

    def by_rsync(self) -> float:
        config = self.there.outside(TARGET) / "rsyncd.conf"
        config.write_text(_RSYNCD.format(path=TARGET))
        serve = ["rsync", "--daemon", "--no-detach", "--port", "8730", f"--config={TARGET / 'rsyncd.conf'}"]
        with _serving(self.there, serve):
            send = ["rsync", "--sparse", "--whole-file", str(self.disk)]
            return self._timed([*send, f"rsync://{self.there.address}:8730/bench/disk"], str(TARGET / "disk"))

    def _timed(self, command: list[str], target: str) -> float:
        begin = time.perf_counter()
        self.here.run(command, timeout=300)
        self.there.run(["sync", target])
        took = time.perf_counter() - begin
        self.here.run(["cmp", str(self.disk), str(self.there.outside(Path(target)))], timeout=300)
        return took

    def clear(self) -> None:
        """As before a copy, with nothing left to be written."""
        self.source.withdraw(UUID)
        self.destination.remove_files(self.spec, ["local"])
        self.there.run(["rm", "-rf", str(TARGET)])
        self.there.run(["mkdir", "-p", str(TARGET)])
        os.sync()


@contextlib.contextmanager
def _serving(host: LabHost, command: list[str]) -> Iterator[None]:
    process = host.spawn(command, "bench-server.log")
    port = "10809" if command[0] == "qemu-nbd" else "8730"
    wait_until(lambda: f":{port} " in host.run(["ss", "-ltn"]), 10, f"{command[0]} to listen")
    try:
        yield
    finally:
        process.end()


def run() -> list[str]:
    with tempfile.TemporaryDirectory() as top, contextlib.ExitStack() as stack:
        lab = Lab("bench", hosts=2, state_dir=Path(top) / "lab")
        lab.down()
        stack.callback(lab.down)
        lab.up()
        return _measure(_prepared(lab, stack))


def _prepared(lab: Lab, stack: contextlib.ExitStack) -> Bench:
    guest = build_guest()
    drivers = []
    for host in lab.hosts:
        driver, end = remote(host.enter, agent_settings(host))
        stack.callback(end)
        drivers.append(driver)
    spec = InstanceSpec(
        uuid=UUID,
        name="bench",
        vcpus=1,
        memory_mb=128,
        disks=(DiskSpec(target="vda", pool="local", size_gb=VIRTUAL_GIB, format="raw"),),
        kernel_id=KERNEL,
        ramdisk_id=RAMDISK,
        kernel_args=KERNEL_ARGS,
    )
    images = {KERNEL: guest.kernel, RAMDISK: guest.ramdisk, DISK: guest.disk}
    drivers[0].make_disks(spec, images)
    drivers[0].define(spec, "op-bench", 1)
    disk = Path(drivers[0].disks(spec)[0].path)
    outside = lab.hosts[0].outside(disk)
    with outside.open("r+b") as file:
        for number in range(DATA_MIB // RUN_MIB):
            file.seek(2 * number * RUN_MIB << 20)
            file.write(os.urandom(RUN_MIB << 20))
    inputs = CopiedInputs(guest=drivers[0].describe_guest(spec), source_uri=lab.hosts[0].uri, copy_disks=("vda",))
    return Bench(lab.hosts[0], lab.hosts[1], drivers[0], drivers[1], spec, inputs, images, outside)


def _measure(bench: Bench) -> list[str]:
    ways: dict[str, Callable[[], float]] = {
        "migrator": bench.ours,
        "qemu-img convert to qemu-nbd": bench.by_nbd,
        "rsync --sparse --whole-file": bench.by_rsync,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    summed = []
    order = list(ways)
    for _ in range(ROUNDS):
        for name in order:
            bench.clear()
            took[name].append(ways[name]())
            if name == "migrator":
                os.utime(bench.disk)  # a checksum is remembered as long as the file is the same
                summed.append(bench.checksums())
        order.append(order.pop(0))
    bench.clear()
    lines = ["| way | median | each | MiB of data/s | times |", "| --- | --- | --- | --- | --- |"]
    ours = statistics.median(took["migrator"])
    for name, seconds in took.items():
        median = statistics.median(seconds)
        each = ", ".join(f"{one:.2f}" for one in seconds)
        lines.append(f"| {name} | {median:.2f} s | {each} | {DATA_MIB / median:.0f} | {median / ours:.2f} |")
    return [
        *lines,
        "",
        f"A raw disk of {VIRTUAL_GIB} GiB with {DATA_MIB} MiB of data, {ROUNDS} rounds taking turns, "
        f"each with its target synced; load {os.getloadavg()[0]:.1f} at the end. "
        f"The checksums that both hosts then work out beside each other: {statistics.median(summed):.2f} s more.",
        "`scp` is not among them: the lab's hosts run no SSH server.",
    ]
