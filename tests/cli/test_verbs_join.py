"""A host joins by the line that ``host-join`` prints, against a running server."""

import tomllib
from pathlib import Path

import pytest

from tests.cli.verbs import ok
from tests.clients.conftest import Cloud

pytestmark = pytest.mark.clients


def test_the_line_that_is_printed_makes_a_host_known_once(cloud: Cloud, tmp_path: Path) -> None:
    invited = cloud.migrator("host-join", "n9")
    line = ok(invited).strip()
    assert "it works once" in invited.err
    message = line.split()
    assert message[:2] == ["migrator", "agent-join"]
    path = tmp_path / "agent.toml"
    joined = cloud.migrator(*message[1:], "--config", str(path))
    assert joined.code == 1, "this machine lacks what hosts need"
    assert "this host is n9" in joined.out
    assert "MISSING" in joined.out
    written = tomllib.loads(path.read_text())
    assert (written["host"], written["server_url"]) == ("n9", cloud.root)
    path.unlink()
    again = cloud.migrator(*message[1:], "--config", str(path))
    assert (again.code, "it was used" in again.err, path.exists()) == (1, True, False)
    known = cloud.migrator("host-join", "n9")
    assert (known.code, "has a credential" in known.err) == (1, True)
