"""The config drive, read back by its label and by each of its names."""

import json
import stat
from io import BytesIO
from pathlib import Path

import pycdlib
import pytest

from migrator.compute.storage import config_drive
from migrator.protocol import InstanceSpec

SPEC = InstanceSpec(
    uuid="3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5",
    name="Wéb Server_1",
    vcpus=1,
    memory_mb=64,
    metadata={"role": "web"},
)


def read(path: Path, **names: str) -> dict[str, object]:
    iso, content = pycdlib.PyCdlib(), BytesIO()
    iso.open(str(path))
    try:
        iso.get_file_from_iso_fp(content, **names)
    finally:
        iso.close()
    found: dict[str, object] = json.loads(content.getvalue())
    return found


@pytest.mark.parametrize("kind", ["joliet_path", "rr_path"])
def test_a_guest_finds_out_who_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk.config"
    config_drive.make(path, SPEC, "s3cret")
    assert read(path, **{kind: "/openstack/latest/meta_data.json"}) == {
        "uuid": SPEC.uuid,
        "name": "Wéb Server_1",
        "hostname": "w-b-server-1",
        "meta": {"role": "web"},
        "admin_pass": "s3cret",
    }


def test_it_is_labelled_aligned_and_private(tmp_path: Path) -> None:
    path = tmp_path / "disk.config"
    config_drive.make(path, SPEC, None)
    content = path.read_bytes()
    assert content[0x8000:0x8006] == b"\x01CD001"
    assert content[0x8028:0x8048].rstrip() == b"config-2"
    assert len(content) % 512 == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_password_there_is_none() -> None:
    assert "admin_pass" not in config_drive.meta_data(SPEC, None)
    assert config_drive.meta_data(SPEC.model_copy(update={"name": "___"}), None)["hostname"] == SPEC.uuid
