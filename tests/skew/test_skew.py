"""Hosts and servers are upgraded one after another: each works with the release before the other's."""

import subprocess
from pathlib import Path

import pytest

from tests.skew import trees
from tests.skew.cluster import Cluster, running


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the earlier protocol."""
    return trees.unpacked(trees.earlier_commit(), tmp_path_factory.mktemp("earlier"))


def boots_and_moves(cluster: Cluster) -> None:
    cluster.wait_for_hosts()
    uuid = cluster.boot()
    before = cluster.wait_until_active(uuid)
    assert cluster.live_migrate(uuid) != before
    cluster.delete(uuid)


def test_agents_of_the_release_before_boot_and_live_migrate_under_this_server(earlier: Path, tmp_path: Path) -> None:
    with running(server_tree=trees.ROOT, agents_tree=earlier, directory=tmp_path) as cluster:
        boots_and_moves(cluster)


def test_these_agents_boot_and_live_migrate_under_the_server_of_the_release_before(
    earlier: Path, tmp_path: Path
) -> None:
    with running(server_tree=earlier, agents_tree=trees.ROOT, directory=tmp_path) as cluster:
        boots_and_moves(cluster)


def test_without_a_repository_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trees, "ROOT", tmp_path)
    with pytest.raises(pytest.skip.Exception, match="whole history"):
        trees.earlier_commit()


def test_in_a_shallow_clone_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = ["git", "clone", "--quiet", "--depth", "1", trees.ROOT.as_uri(), str(tmp_path / "shallow")]
    subprocess.run(command, check=True)
    monkeypatch.setattr(trees, "ROOT", tmp_path / "shallow")
    with pytest.raises(pytest.skip.Exception, match="git fetch --unshallow"):
        trees.earlier_commit()
