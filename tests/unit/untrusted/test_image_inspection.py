"""An image is what its bytes are: real qemu-img makes the images, and headers are changed by hand."""

import struct
import subprocess
import time
from pathlib import Path

import pytest

from migrator.errors import StorageError
from migrator.untrusted.image_inspection import virtual_size
from migrator.untrusted.process_limits import Limits, run

MIB = 1024**2


def made(path: Path, disk_format: str, *options: str, size: str = "3M") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", disk_format, *options, str(path), size], check=True)
    return path


@pytest.mark.parametrize(
    ("disk_format", "options"),
    [
        ("qcow2", ("-o", "compat=0.10")),
        ("qcow2", ("-o", "compat=1.1,compression_type=zstd,extended_l2=on")),
        ("raw", ()),
        ("vmdk", ()),
        ("vdi", ()),
        ("vhdx", ()),
    ],
)
def test_the_virtual_size_of_every_format_is_found(tmp_path: Path, disk_format: str, options: tuple[str, ...]) -> None:
    assert virtual_size(made(tmp_path / "image", disk_format, *options), disk_format) == 3 * MIB


def test_a_vhd_is_known_by_the_names_of_the_api_and_of_qemu(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "vpc", "-o", "force_size=on")
    assert virtual_size(image, "vhd") == virtual_size(image, "vpc") == 3 * MIB


def iso(path: Path) -> Path:
    path.write_bytes(bytes(0x8001) + b"CD001" + bytes(2 * MIB))
    return path


def test_an_iso_is_an_iso_and_may_be_called_raw(tmp_path: Path) -> None:
    image = iso(tmp_path / "image")
    assert virtual_size(image, "iso") == virtual_size(image, "raw") == image.stat().st_size
    with pytest.raises(StorageError, match="said to be iso, but its content is none"):
        virtual_size(made(tmp_path / "other", "raw"), "iso")


@pytest.mark.parametrize("content", ["qcow2", "vmdk", "vdi", "vhdx", "vpc"])
def test_another_formats_header_is_not_taken_for_a_raw_disk(tmp_path: Path, content: str) -> None:
    """A guest's disk would begin with a header that names files of the host."""
    image = made(tmp_path / "image", content)
    for declared in ("raw", "iso", "qcow2"):
        if declared != content:
            with pytest.raises(StorageError, match=f"said to be {declared}, but its content is"):
                virtual_size(image, declared)


def test_a_fixed_vhd_is_known_by_its_end(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "vpc", "-o", "subformat=fixed")
    with pytest.raises(StorageError, match="its content is vhd"):
        virtual_size(image, "raw")


def test_two_formats_in_one_file_are_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "qcow2")
    with image.open("r+b") as file:
        file.seek(0x8001)
        file.write(b"CD001")
    for declared in ("qcow2", "iso", "raw"):
        with pytest.raises(StorageError, match="iso and qcow2"):
            virtual_size(image, declared)


@pytest.mark.parametrize("text", [b"hello, world\n", b"", b"QFI\xfb", b"QFI\xfb" + bytes(100)])
def test_what_only_claims_to_be_qcow2_is_refused(tmp_path: Path, text: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(text)
    with pytest.raises(StorageError):
        virtual_size(image, "qcow2")


def test_a_qcow2_that_refers_to_another_file_is_refused(tmp_path: Path) -> None:
    base = made(tmp_path / "base", "raw")
    over = made(tmp_path / "over", "qcow2", "-b", str(base), "-F", "raw")
    with pytest.raises(StorageError, match="backing file"):
        virtual_size(over, "qcow2")
    outside = made(tmp_path / "outside", "qcow2", "-o", f"data_file={tmp_path}/data,data_file_raw=on")
    with pytest.raises(StorageError, match="external data file"):
        virtual_size(outside, "qcow2")
    with outside.open("r+b") as file:  # the feature taken out, the name left in
        file.seek(72)
        file.write(bytes(8))
    with pytest.raises(StorageError, match="external data file"):
        virtual_size(outside, "qcow2")


# where, the bytes there, what is said
DAMAGE = [
    (4, struct.pack(">I", 7), "version 7"),
    (20, struct.pack(">I", 40), r"clusters of 2\^40"),
    (32, struct.pack(">I", 2), "encrypted"),
    (36, struct.pack(">I", 2**31), "entries in its first table"),
    (40, struct.pack(">Q", 2**40), "cut off"),
    (24, struct.pack(">Q", 2**63), "bytes"),
    (72, struct.pack(">Q", 2), "corrupt"),
    (72, struct.pack(">Q", 1 << 40), "features of qcow2 that are not known"),
    (72, struct.pack(">Q", 8), "contradicts itself about its compression"),
    (100, struct.pack(">I", 0), "header has 0 bytes"),
    (100, struct.pack(">I", 1 << 20), "header has 1048576 bytes"),
    (36, struct.pack(">I", 0), "0 entries in its first table, and its size needs 1"),
    (24, struct.pack(">Q", 1 << 62), "its size needs"),
    (56, struct.pack(">I", 0), "no table of reference counts"),
    (96, struct.pack(">I", 7), "counts references"),
    (48, struct.pack(">Q", 512), "where a cluster does"),
]


@pytest.mark.parametrize(("at", "content", "message"), DAMAGE)
def test_a_damaged_qcow2_is_refused_by_what_is_wrong(tmp_path: Path, at: int, content: bytes, message: str) -> None:
    image = made(tmp_path / "image", "qcow2")
    with image.open("r+b") as file:
        file.seek(at)
        file.write(content)
    with pytest.raises(StorageError, match=message):
        virtual_size(image, "qcow2")


@pytest.mark.parametrize("value", [0, 1, 9, 512, 0x10000, 0xFFFFFFFF])
def test_no_header_that_qemu_img_cannot_open_is_taken(tmp_path: Path, value: int) -> None:
    """Every number of the header in turn has this value: an image that became active would start no guest."""
    whole, image = made(tmp_path / "whole", "qcow2").read_bytes(), tmp_path / "image"
    taken = []
    for at in range(4, 112, 4):
        image.write_bytes(whole[:at] + struct.pack(">I", value) + whole[at + 4 :])
        opened = subprocess.run(["qemu-img", "info", "-f", "qcow2", str(image)], capture_output=True)
        try:
            virtual_size(image, "qcow2")
        except StorageError:
            continue
        taken += [at] if opened.returncode else []
    assert taken == []


def test_an_image_with_a_snapshot_of_its_own_is_taken_and_one_that_only_says_so_is_not(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "one", str(image)], check=True)
    assert virtual_size(image, "qcow2") == 3 * MIB
    with image.open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", 1 << 17))
    with pytest.raises(StorageError, match="snapshots"):
        virtual_size(image, "qcow2")


def test_a_header_cannot_make_qemu_img_take_all_memory(tmp_path: Path) -> None:
    """A kilobyte that says that it has half a billion blocks took 2 GiB."""
    image = made(tmp_path / "image", "vdi", size="1M")
    with image.open("r+b") as file:
        blocks = 0x1FFFFFFF
        file.seek(0x170)
        file.write(struct.pack("<Q", blocks * MIB))
        file.seek(0x180)
        file.write(struct.pack("<I", blocks))
        file.truncate(1024)
    with pytest.raises(StorageError, match="qemu-img info failed"):
        virtual_size(image, "vdi")


def test_a_program_is_ended_at_its_limits(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"no answer within 0\.3 s"):
        run("sleep", ["60"], Limits(wall_s=0.3), package="coreutils")
    with pytest.raises(StorageError, match="more than 1 s of processor"):
        run("sh", ["-c", "while :; do :; done"], Limits(cpu_s=1), package="dash")
    with pytest.raises(StorageError, match=r"dd .*(MiB|too large)"):
        run("dd", ["if=/dev/zero", f"of={tmp_path}/out", "bs=1M", "count=9"], Limits(file_mb=2), package="coreutils")
    assert (tmp_path / "out").stat().st_size <= 2 * MIB
    assert time.monotonic() - began < 30


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(StorageError, match="no-such-program is not installed") as error:
        run("no-such-program", ["info"], Limits(), package="its-package")
    assert error.value.advice == "install the package its-package"
