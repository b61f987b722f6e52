"""A disk that another host wrote names no file of this one. Real qemu-img writes the headers."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.compute.libvirt.driver import LibvirtDriver
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.file_driver import HostFiles
from migrator.errors import DriverError, StorageError, UnsafeDisk
from migrator.protocol import CopiedInputs, DiskSpec, GuestDescription, ImageRef, InstanceSpec
from migrator.settings import AgentSettings

INSTANCE = "3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5"
IMAGE, OTHERS = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
DISK = DiskSpec(target="vda", pool="local", size_gb=1, image_id=IMAGE)
RAW = DiskSpec(target="vdb", pool="local", size_gb=1, format="raw")


def spec(*disks: DiskSpec) -> InstanceSpec:
    images = (ImageRef(id=IMAGE, size_bytes=0, checksum_sha256="", disk_format="raw"),)
    return InstanceSpec(uuid=INSTANCE, name="i", vcpus=1, memory_mb=1, disks=disks, images=images)


def qcow2(path: Path, *options: str, size: str = "1G") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"the image's own" * 5000)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"of the destination" * 5000)
    return path


# What a host that was broken into writes over an instance's disk: qemu-img's options; and what is said of it
FOREIGN = {
    "backing file": ("-b {secret} -F raw", "names the file"),
    "another image": (f"-u -b ../_base/{OTHERS} -F raw", "names the file"),
    "path to it": (f"-u -b ../_base/../_base/{IMAGE} -F raw", "names the file"),
    "another format": (f"-u -b ../_base/{IMAGE} -F qcow2", "says that the image under it is qcow2"),
    "network": ("-u -b nbd://10.0.0.1/x -F raw", "names the file"),
    "data file": ("-o data_file={secret},data_file_raw=on", "keeps its data in another file"),
}


def written(disk: Path, what: str, secret: Path) -> None:
    disk.unlink()
    if what == "link":
        disk.symlink_to(secret)
    elif what == "fifo":
        os.mkfifo(disk)
    else:
        qcow2(disk, *FOREIGN[what][0].format(secret=secret).split())


class Files:
    """``disk_copy.Reader`` of local files that skips their holes, as libvirt does."""

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str, offset: int, length: int, sink: Callable[[int, bytes], None]) -> None:
        with open(path, "rb") as file:
            at, end = offset, offset + length
            while at < end:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    return  # a hole to the end
                until = min(end, os.lseek(file.fileno(), at, os.SEEK_HOLE))
                if at < end:
                    sink(at, os.pread(file.fileno(), until - at, at))
                at = until

    def close(self) -> None: ...


def hosts(tmp_path: Path) -> tuple[Disks, HostFiles]:
    """A source, and a destination that reads the source's files."""
    there = AgentSettings(host="there", state_path=tmp_path / "state", storage={"local": tmp_path / "there"})
    return Disks({"local": tmp_path / "here"}, "local"), HostFiles(there, lambda _: Files())


def pulled(there: HostFiles, instance: InstanceSpec, guest: GuestDescription, image: Path) -> Exception | None:
    targets = tuple(disk.target for disk in instance.disks)
    there.start_copy(instance, CopiedInputs(guest=guest, copy_disks=targets, source_uri="x"), {IMAGE: image})
    deadline = time.monotonic() + 60
    while (job := there.copy_job(INSTANCE)) is None or job.active:
        assert time.monotonic() < deadline, "the copy never ended"
        time.sleep(0.01)
    return there.copy_error(INSTANCE)


@pytest.mark.parametrize("what", list(FOREIGN))
def test_a_copied_disk_that_names_a_file_of_this_host_never_appears(
    tmp_path: Path, image: Path, secret: Path, what: str
) -> None:
    source, there = hosts(tmp_path)
    source.make(spec(DISK), {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(spec(DISK))))
    disk = source.path(INSTANCE, DISK)
    written(disk, what, secret)
    error = pulled(there, spec(DISK), guest, image)
    assert isinstance(error, UnsafeDisk)
    assert FOREIGN[what][1] in error.message
    assert error.code == "unsafe_disk"
    assert not there.disks(spec(DISK))[0].exists
    assert list((tmp_path / "there" / INSTANCE).iterdir()) == []
    assert disk.exists(), "the source's own file is nobody's to remove"


def test_an_honest_copy_arrives_with_and_without_an_image_under_it(tmp_path: Path, image: Path) -> None:
    source, there = hosts(tmp_path)
    instance = spec(DISK, DiskSpec(target="vdb", pool="local", size_gb=1), RAW.model_copy(update={"target": "vdc"}))
    source.make(instance, {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(instance)))
    assert pulled(there, instance, guest, image) is None
    assert [(f.exists, f.format, f.virtual_bytes, f.backing_image_id) for f in there.disks(instance)] == [
        (True, "qcow2", 1 << 30, IMAGE),
        (True, "qcow2", 1 << 30, None),
        (True, "raw", 1 << 30, None),
    ]


def test_a_raw_disk_into_which_a_guest_wrote_a_header_is_still_raw(tmp_path: Path, image: Path, secret: Path) -> None:
    source, there = hosts(tmp_path)
    source.make(spec(RAW), {})
    with source.path(INSTANCE, RAW).open("r+b") as disk:
        disk.write(qcow2(tmp_path / "sly", "-b", str(secret), "-F", "raw").read_bytes())
    guest = GuestDescription(disks=tuple(source.facts(spec(RAW))))
    assert pulled(there, spec(RAW), guest, image) is None
    fact = there.disks(spec(RAW))[0]
    assert (fact.format, fact.virtual_bytes, fact.backing_image_id) == ("raw", 1 << 30, None)


@pytest.mark.parametrize("what", [*FOREIGN, "link", "fifo"])
def test_a_shared_disk_that_another_host_wrote_is_used_for_nothing(
    tmp_path: Path, image: Path, secret: Path, what: str
) -> None:
    """Live migration and evacuation find it where it is; growing it would open what it names."""
    shared = tmp_path / "shared"
    source, there = Disks({"local": shared}, "local"), Disks({"local": shared}, "local")
    instance = spec(DISK)
    source.make(instance, {IMAGE: image})
    guest = GuestDescription(disks=tuple(source.facts(instance)), storage=source.identities())
    there.make_targets(instance, guest, {})
    there.refuse_foreign(instance)
    written(source.path(INSTANCE, DISK), what, secret)
    larger = spec(DISK.model_copy(update={"size_gb": 2}))
    uses: tuple[Callable[[], object], ...] = (
        lambda: there.make_targets(instance, guest, {}),
        lambda: there.make(instance, {IMAGE: image}),
        lambda: there.refuse_foreign(instance),
        lambda: there.check_complete(instance, {"local": shared / INSTANCE}),
    )
    for use in uses:
        with pytest.raises(UnsafeDisk):
            use()
    with pytest.raises(StorageError):
        there.grow(larger)


def test_what_lies_under_a_disk_is_known_only_of_the_instances_own(tmp_path: Path, image: Path, secret: Path) -> None:
    mine = Disks({"local": tmp_path / "pool"}, "local")
    instance = spec(DISK, RAW, DiskSpec(target="vdc", pool="local", size_gb=1))
    assert [mine.chain(instance, disk) for disk in instance.disks] == [None] * 3
    mine.make(instance, {IMAGE: image})
    base = (tmp_path / "pool/_base" / IMAGE, "raw")
    assert [mine.chain(instance, disk) for disk in instance.disks] == [(base,), (), ()]
    written(mine.path(INSTANCE, DISK), "backing file", secret)
    assert mine.chain(instance, DISK) is None


def test_the_image_under_a_disk_names_nothing_either(tmp_path: Path, secret: Path) -> None:
    mine = Disks({"local": tmp_path / "pool"}, "local")
    reference = ImageRef(id=IMAGE, size_bytes=0, checksum_sha256="", disk_format="qcow2")
    instance = spec(DISK).model_copy(update={"images": (reference,)})
    mine.make(instance, {IMAGE: qcow2(tmp_path / "whole")})
    base = tmp_path / "pool/_base" / IMAGE
    for change in (lambda: qcow2(base, "-b", str(secret), "-F", "raw"), lambda: base.symlink_to(secret)):
        base.unlink()
        change()
        with pytest.raises(UnsafeDisk, match=r"which .* lies over"):
            mine.refuse_foreign(instance)


@pytest.mark.parametrize("name", ["kernel", "ramdisk", "memory"])
def test_a_boot_file_or_a_memory_that_is_a_link_starts_nothing(tmp_path: Path, secret: Path, name: str) -> None:
    mine = Disks({"local": tmp_path / "pool"}, "local")
    instance = spec(RAW).model_copy(update={"kernel_id": "k", "ramdisk_id": "r"})
    (tmp_path / "pool" / INSTANCE).mkdir(parents=True)
    mine.refuse_foreign(instance)
    (tmp_path / "pool" / INSTANCE / name).symlink_to(secret)
    with pytest.raises(UnsafeDisk, match="is a link"):
        mine.refuse_foreign(instance)


def test_an_instances_directory_that_leads_elsewhere_starts_nothing(tmp_path: Path) -> None:
    mine = Disks({"local": tmp_path / "pool"}, "local")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/disk.vdb").write_bytes(b"others' data")
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / INSTANCE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeDisk, match="is a link to another directory"):
        mine.refuse_foreign(spec(RAW))


@pytest.mark.parametrize("said", [{"backing_image_id": OTHERS}, {"format": "raw"}])
def test_nothing_is_made_by_a_source_that_describes_another_disk(
    tmp_path: Path, image: Path, said: dict[str, str]
) -> None:
    """Over the image of another project, which lies in the same pool."""
    source, there = Disks({"local": tmp_path / "here"}, "local"), Disks({"local": tmp_path / "there"}, "local")
    source.make(spec(DISK), {IMAGE: image})
    facts = tuple(fact.model_copy(update=said) for fact in source.facts(spec(DISK)))
    guest = GuestDescription(disks=facts, storage=source.identities())
    images = {IMAGE: image, OTHERS: image}
    uses: tuple[Callable[[], object], ...] = (
        lambda: there.make_targets(spec(DISK), guest, images),
        lambda: there.prepare_copy(spec(DISK), guest, ["vda"], images),
    )
    for use in uses:
        with pytest.raises(UnsafeDisk, match="the source says that the disk vda is"):
            use()
    assert not there.facts(spec(DISK))[0].exists


def test_facts_tell_what_is_there_and_open_nothing_that_it_names(tmp_path: Path) -> None:
    mine, fifo = Disks({"local": tmp_path / "pool"}, "local"), tmp_path / "fifo"
    os.mkfifo(fifo)
    path = mine.path(INSTANCE, DISK)
    path.parent.mkdir(parents=True)
    qcow2(path, "-u", "-b", str(fifo), "-F", "raw")
    fact = mine.facts(spec(DISK))[0]
    assert (fact.exists, fact.virtual_bytes, fact.backing_image_id) == (True, 1 << 30, None)
    header = path.read_bytes()
    path.write_bytes(header.replace(str(fifo).encode(), b"_base/\0\xff".ljust(len(str(fifo)), b"x")))
    assert mine.facts(spec(DISK))[0].backing_image_id is None
    path.write_bytes(b"QFI\xfb")
    with pytest.raises(StorageError, match="ends within its header"):
        mine.facts(spec(DISK))


def test_no_guest_is_given_to_libvirt_whose_disk_names_another_file(tmp_path: Path, image: Path, secret: Path) -> None:
    pool = tmp_path / "pool"
    settings = AgentSettings(host="a", state_path=tmp_path / "state", storage={"local": pool}, libvirt_uri="none:///x")
    mine, driver = Disks({"local": pool}, "local"), LibvirtDriver(settings)
    mine.make(spec(DISK), {IMAGE: image})
    with pytest.raises(DriverError) as asked:
        driver.define_and_start(spec(DISK), "op", 1)
    assert asked.value.code != "unsafe_disk", "an honest disk gets as far as libvirt"
    written(mine.path(INSTANCE, DISK), "backing file", secret)
    with pytest.raises(UnsafeDisk, match="names the file"):
        driver.define_and_start(spec(DISK), "op", 1)
    with pytest.raises(UnsafeDisk, match="names the file"):
        driver.offer(spec(DISK), ["vda"])
