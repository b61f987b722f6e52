"""A small Debian in a folder, in which packages are installed: what debootstrap made once, under an overlay.

Owns the cached base system, the mounts, and how a unit is started where no systemd runs.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migrator.lab.process import Process, run, spawn

# What both packages depend on, and what the containers' images need (tests/container). Nothing is installed later, and
# the tests need no network.
PACKAGES = (
    *("init-system-helpers", "libvirt0", "procps", "python3", "qemu-utils", "systemd"),
    *("ca-certificates", "haproxy", "postgresql"),
)


@dataclass(frozen=True)
class Machine:
    root: Path

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Raises AssertionError with what it said, for a failure."""
        known = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            ["chroot", str(self.root), *command],
            capture_output=True,
            text=True,
            env=known | environment,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}{done.stderr}"
        return done

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def unit(self, name: str) -> dict[str, str]:
        """The unit's settings, of a name that stands twice the last."""
        text = self.path(f"/usr/lib/systemd/system/{name}.service").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def starts(self, name: str) -> bool:
        """Whether the unit's condition holds."""
        return self.path(self.unit(name)["ConditionPathExists"]).exists()

    def start(self, name: str, log: Path) -> Process:
        """As the unit says: its command, its user, its folder, its file of variables."""
        unit = self.unit(name)
        user = unit.get("User", "root")
        if "StateDirectory" in unit:
            folder = f"/var/lib/{unit['StateDirectory']}"
            self.run("install", "-d", "-m", unit["StateDirectoryMode"], "-o", user, "-g", unit["Group"], folder)
        variables = self.path(unit["EnvironmentFile"].lstrip("-"))
        lines = variables.read_text().splitlines() if variables.exists() else []
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | dict(line.split("=", 1) for line in lines)
        command = ["/usr/sbin/chroot", f"--userspec={user}", str(self.root), *shlex.split(unit["ExecStart"])]
        return spawn(command, log, environment)

    def files(self) -> set[str]:
        """Every path that packages may leave something at."""
        return {
            str(path.relative_to(self.root))
            for folder in ("etc", "opt", "root", "usr", "var/lib")
            for path in (self.root / folder).rglob("*")
        }


@contextmanager
def machine() -> Iterator[Machine]:
    base = base_system()
    memory = Path("/dev/shm") if shutil.disk_usage("/dev/shm").free > 1 << 30 else None
    work = Path(tempfile.mkdtemp(prefix="migrator-debian-", dir=memory))
    root = work / "root"
    for folder in ("upper", "work", "root"):
        (work / folder).mkdir()
    options = f"lowerdir={base},upperdir={work}/upper,workdir={work}/work"
    run("mount", "-t", "overlay", "migrator-debian", "-o", options, str(root))
    try:
        run("mount", "-t", "proc", "proc", str(root / "proc"))
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        yield Machine(root)
    finally:
        run("umount", "--recursive", "--lazy", str(root))
        shutil.rmtree(work)


def base_system() -> Path:
    """The base system: this machine's release of Debian, made by debootstrap and kept in the user's cache."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines())["VERSION_CODENAME"]
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "migrator"
    base = cache / f"debian-{release}-{key}"
    if not base.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="debian-", dir=cache))
        try:
            include = f"--include={','.join(PACKAGES)}"
            run("debootstrap", "--variant=minbase", include, release, str(made), timeout=300)
            for package in (made / "var/cache/apt/archives").glob("*.deb"):
                package.unlink()
            made.chmod(0o755)
            made.rename(base)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return base
