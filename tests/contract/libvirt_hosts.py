"""Two bare hosts for the driver's contract: a libvirtd each, in namespaces of its own, joined by one bridge.

Smaller than the lab on purpose: no agent, no server, no shared filesystem. Owns everything it starts and ends it by
pid. Sockets, pools and consoles are ordinary paths, visible to the test that drives both libvirtds.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

BRIDGE = "mgdbr0"
SUBNET = "10.79.0"

QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for module in button evdev; do insmod /modules/$module.ko; done
exec >/dev/ttyS0 2>&1 </dev/ttyS0
mkdir -p /etc/acpi/PWRF /var/log /var/run
printf '#!/bin/sh\\npoweroff -f\\n' > /etc/acpi/PWRF/00000080; chmod +x /etc/acpi/PWRF/00000080
acpid
dd if=/dev/urandom of=/ballast bs=1M count=32 2>/dev/null
n=0
while :; do n=$((n + 1)); echo "tick $n"; usleep 100000; done
"""


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass
class Host:
    """One host. ``number`` is its last address byte."""

    root: Path
    number: int
    holder: subprocess.Popen[bytes] | None = None
    libvirtd: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"mgd-{self.root.name[-6:]}-{self.number}"

    @property
    def address(self) -> str:
        return f"{SUBNET}.{self.number}"

    @property
    def pool(self) -> Path:
        return self.root / "pool"

    @property
    def uri(self) -> str:
        return f"qemu:///system?socket={self.root}/run/libvirt/libvirt-sock"

    def up(self) -> None:
        for directory in ("etc/qemu", "lib", "run", "cache", "log", "pool"):
            (self.root / directory).mkdir(parents=True)
        (self.root / "etc/libvirtd.conf").write_text(
            f'host_uuid = "0000000{self.number}-6d67-4d00-8000-00000000000{self.number}"\n'
            'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nauth_unix_rw = "none"\n'
            f'listen_addr = "{self.address}"\n'
        )
        (self.root / "etc/qemu.conf").write_text(QEMU_CONF)
        (self.root / "etc/libvirt.conf").touch()
        (self.root / "hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        run("ip", "netns", "add", self.name)
        link = f"mgdv{self.number}"
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", link, "master", BRIDGE, "up")
        for command in (
            f"addr add {self.address}/24 dev eth0",
            "link set eth0 up",
            "link set lo up",
            "link add brdemo type bridge",
            "link set brdemo up",
        ):
            run("ip", "-n", self.name, *command.split())
        self._hold()
        self.start_libvirtd()

    def start_libvirtd(self) -> None:
        assert self.holder is not None
        with (self.root / "libvirtd.log").open("ab") as log:
            self.libvirtd = subprocess.Popen(
                ["nsenter", "-t", str(self.holder.pid), "-m", "-u", "-n", "libvirtd", "-l"],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while subprocess.run(["virsh", "-c", self.uri, "hostname"], capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: {(self.root / 'libvirtd.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def kill_libvirtd(self, number: int = signal.SIGKILL) -> None:
        assert self.libvirtd is not None
        self.libvirtd.send_signal(number)
        if number == signal.SIGKILL:
            self.libvirtd.wait()

    def down(self) -> None:
        if self.libvirtd is not None:
            with contextlib.suppress(ProcessLookupError):
                self.libvirtd.send_signal(signal.SIGCONT)
            self.libvirtd.kill()
            self.libvirtd.wait()
        for pid_file in (self.root / "run/libvirt/qemu").glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid_file.read_text()), signal.SIGKILL)
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait()
        run("ip", "netns", "del", self.name, check=False)
        run("ip", "link", "del", f"mgdv{self.number}", check=False)

    def _hold(self) -> None:
        """A process that keeps the namespaces, so that libvirtd may die and come back to its own world."""
        mounts = {"etc": "/etc/libvirt", "lib": "/var/lib/libvirt", "run": "/run", "hosts": "/etc/hosts"}
        mounts |= {"cache": "/var/cache/libvirt", "log": "/var/log/libvirt"}
        for target in ("/var/cache/libvirt", "/var/log/libvirt"):
            Path(target).mkdir(parents=True, exist_ok=True)
        # /run last: the others' sources must not vanish under it.
        ordered = sorted(mounts.items(), key=lambda item: item[1] == "/run")
        script = [f"hostname {self.name}"]
        script += [f"mount --bind {self.root}/{source} {target}" for source, target in ordered]
        script += [f"touch {self.root}/held", "exec sleep infinity"]
        self.holder = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "--mount", "--uts", "sh", "-ec", "; ".join(script)]
        )
        deadline = time.monotonic() + 10
        while not (self.root / "held").exists():
            if self.holder.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: the namespaces could not be made")
            time.sleep(0.02)


@dataclass
class Hosts:
    """Both hosts and the tiny guest's files."""

    root: Path
    both: list[Host] = field(default_factory=list)

    @property
    def kernel(self) -> Path:
        return self.root / "vmlinuz"

    @property
    def ramdisk(self) -> Path:
        return self.root / "initrd"

    @property
    def state(self) -> Path:
        """Both hosts' state path: the console's file has one name wherever the guest runs."""
        return self.root / "state"

    def up(self) -> None:
        self.state.mkdir()
        make_guest(self.root)
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "link", "set", BRIDGE, "up")
        for number in (1, 2):
            host = Host(self.root / f"h{number}-{self.root.name[-6:]}", number)
            self.both.append(host)
            host.up()

    def down(self) -> None:
        for host in self.both:
            host.down()
        run("ip", "link", "del", BRIDGE, check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def make_guest(directory: Path) -> None:
    """``vmlinuz`` and ``initrd`` in ``directory``: Debian's cloud kernel (never installed here) and busybox."""
    work = directory / "guest"
    work.mkdir()
    depends = run("apt-cache", "depends", "linux-image-cloud-amd64")
    package = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    subprocess.run(["apt-get", "download", package], cwd=work, check=True, capture_output=True)
    run("dpkg-deb", "-x", str(next(work.glob("*.deb"))), str(work / "kernel"))
    shutil.copyfile(next((work / "kernel/boot").glob("vmlinuz-*")), directory / "vmlinuz")
    tree = work / "tree"
    for name in ("bin", "proc", "sys", "dev", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin/busybox")
    for module in ("button", "evdev"):
        shutil.copy(next((work / "kernel/lib/modules").rglob(f"{module}.ko")), tree / "modules")
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    pack = "find . | cpio --quiet -o -H newc | gzip -1 > ../../initrd"
    subprocess.run(["sh", "-ec", pack], cwd=tree, check=True)
    shutil.rmtree(work)
