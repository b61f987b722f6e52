"""Fixtures of fencing's tests."""

from pathlib import Path

import pytest

from tests.unit.compute.fencing.fenced_host import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state" / "lease")
