"""The lab's guest: Debian's cloud kernel, an initramfs with busybox and one C program, and a small disk.

Owns building them once into a cache, and registering them as images of a server. The guest's words are in
``guest/counter.c``.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from migrator.errors import LabError
from migrator.lab.layout import CACHE
from migrator.lab.process import run

KERNEL_PACKAGE = "linux-image-cloud-amd64"
KERNEL_ARGS = "console=ttyS0 quiet panic=-1 no_timer_check"
DISK_SIZE = "64M"
_SOURCES = ("init", "counter.c")
# In the order in which they must be loaded: what a later one needs is in an earlier one.
_MODULES = (
    *("button", "evdev"),
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("failover", "net_failover", "virtio_net"),
)


@dataclass(frozen=True, slots=True)
class GuestImages:
    """``disk``: qcow2, empty; the guest writes to it without a filesystem."""

    kernel: Path
    ramdisk: Path
    disk: Path


def build_guest(cache_dir: Path = CACHE) -> GuestImages:
    """The guest's files in ``cache_dir``, built on the first call. Needs apt-get, gcc, cpio and busybox-static.

    Raises LabError with the words of the command that failed.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    with _alone(cache_dir / "lock"):
        ready = cache_dir / f"guest-{_fingerprint()}"
        if not ready.is_dir():
            draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache_dir))
            try:
                _build(draft)
                os.replace(draft, ready)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return GuestImages(ready / "vmlinuz", ready / "initrd.gz", ready / "disk.qcow2")


def register_guest(api_url: str, cache_dir: Path = CACHE, kernel_args: str = KERNEL_ARGS) -> str:
    """Register kernel, ramdisk and disk as images of the server at ``api_url`` and give the disk image's id.

    ``kernel_args``: such as ``KERNEL_ARGS + " dirty=500 ballast=64"``. Raises LabError with the server's answer.
    """
    guest = build_guest(cache_dir)
    with httpx.Client(base_url=f"{api_url.rstrip('/')}/image/v2", timeout=60, trust_env=False) as client:
        kernel = _register(client, "tick-kernel", "aki", guest.kernel)
        ramdisk = _register(client, "tick-ramdisk", "ari", guest.ramdisk)
        boot = {"kernel_id": kernel, "ramdisk_id": ramdisk, "os_command_line": kernel_args}
        return _register(client, "tick", "qcow2", guest.disk, boot)


def _register(client: httpx.Client, name: str, kind: str, file: Path, properties: dict[str, Any] | None = None) -> str:
    container = kind if kind in ("aki", "ari") else "bare"
    body = {"name": name, "disk_format": kind, "container_format": container, **(properties or {})}
    created = client.post("/images", json=body)
    if created.is_error:
        raise LabError(f"the image {name} was refused: {created.status_code} {created.text}")
    image_id = str(created.json()["id"])
    headers = {"Content-Type": "application/octet-stream"}
    sent = client.put(f"/images/{image_id}/file", content=file.read_bytes(), headers=headers)
    if sent.is_error:
        raise LabError(f"the file of image {name} was refused: {sent.status_code} {sent.text}")
    return image_id


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _source(name: str) -> bytes:
    return (resources.files("migrator.lab") / "guest" / name).read_bytes()


def _fingerprint() -> str:
    """Changes with everything that the images are made from, except for the kernel's own version."""
    parts = [*(_source(name) for name in _SOURCES), repr((_MODULES, DISK_SIZE)).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _build(into: Path) -> None:
    work = into / "work"
    work.mkdir()
    kernel = _fetch_kernel(work)
    shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), into / "vmlinuz")
    _pack(_tree(work, kernel), into / "initrd.gz")
    run("qemu-img", "create", "-q", "-f", "qcow2", str(into / "disk.qcow2"), DISK_SIZE)
    shutil.rmtree(work)


def _fetch_kernel(work: Path) -> Path:
    """Debian's kernel, unpacked and never installed."""
    depends = run("apt-cache", "depends", KERNEL_PACKAGE)
    packages = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line]
    if not packages:
        raise LabError(f"apt knows no package {KERNEL_PACKAGE}", advice="apt-get update")
    # Its sandbox user could not write into our directory.
    command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", packages[0]]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}", advice="apt-get update")
    run("dpkg-deb", "-x", str(next(work.glob("*.deb"))), str(work / "kernel"))
    return work / "kernel"


def _tree(work: Path, kernel: Path) -> Path:
    tree = work / "tree"
    for name in ("bin", "modules", "dev", "proc", "sys"):
        (tree / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is not installed", advice="apt-get install busybox-static")
    shutil.copy(busybox, tree / "bin/busybox")
    (tree / "init").write_bytes(_source("init"))
    (tree / "init").chmod(0o755)
    (work / "counter.c").write_bytes(_source("counter.c"))
    run("gcc", "-O2", "-static", "-o", str(tree / "counter"), str(work / "counter.c"))
    for module in _MODULES:
        shutil.copy(next((kernel / "lib/modules").rglob(f"{module}.ko")), tree / "modules")
    (tree / "modules/order").write_text("\n".join(_MODULES))
    return tree


def _pack(tree: Path, into: Path) -> None:
    # The compressed form is read by software emulation, so a fast one beats a small one.
    run("sh", "-ec", f"cd '{tree}'; find . | cpio --quiet -o -H newc | gzip -1 > '{into}'")
