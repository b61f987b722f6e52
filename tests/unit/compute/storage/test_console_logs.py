"""Consoles' logs on a host: which are found, and that nothing but a plain file is read."""

import os
from pathlib import Path

import pytest

from migrator.compute.storage import console_logs
from migrator.errors import StorageError

ONE = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"
TWO = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0002"


def test_logs_are_found_by_their_instances_and_read_in_parts(tmp_path: Path) -> None:
    assert console_logs.found(tmp_path / "none") == {}
    (tmp_path / f"{ONE}.log").write_bytes(b"0123456789")
    (tmp_path / "notes.log").write_bytes(b"x")
    (found,) = console_logs.found(tmp_path).items()
    assert (found[0], found[1].size) == (ONE, 10)
    assert console_logs.read(tmp_path, ONE, 4, 3) == b"456"
    assert console_logs.read(tmp_path, ONE, 8, 100) == b"89"


def test_what_is_no_plain_file_is_neither_found_nor_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / f"{ONE}.log").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / f"{TWO}.log")
    assert console_logs.found(tmp_path) == {}
    with pytest.raises(StorageError):
        console_logs.read(tmp_path, ONE, 0, 10)
    assert console_logs.read(tmp_path, TWO, 0, 10) == b""
