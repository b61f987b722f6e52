"""Fixtures of the tests of storage."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(1 << 20))
    return path
