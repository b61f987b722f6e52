"""A pool whose storage is not mounted is not another storage: nothing is made, found or deleted in its place."""

import shutil
from pathlib import Path

import pytest

from migrator.compute.storage.disks import Disks
from migrator.compute.storage.pool_identity import MARKER, StorageAway
from migrator.errors import StorageError
from migrator.protocol import DiskFact, DiskSpec, GuestDescription, InstanceSpec

SPEC = InstanceSpec(
    uuid="3d4ee7a4-8c13-4d28-9f1a-0a4de1d0a2f5",
    name="i",
    vcpus=1,
    memory_mb=1,
    disks=(DiskSpec(target="vda", pool="shared", size_gb=1),),
)


def host(tmp_path: Path) -> Disks:
    """As a starting agent has it."""
    return Disks({"shared": tmp_path / "mount", "local": tmp_path / "local"}, "local", tmp_path / "state/storage")


@pytest.fixture
def unmounted(tmp_path: Path) -> str:
    """The shared storage held an instance's disk, and now there is the bare mount point. Its identity."""
    mine = host(tmp_path)
    identity = mine.identities()["shared"]
    mine.make(SPEC, {})
    (tmp_path / "mount").rename(tmp_path / "storage")
    (tmp_path / "mount").mkdir()
    return identity


def test_a_bare_mount_point_gets_no_identity_of_its_own(tmp_path: Path, unmounted: str) -> None:
    """Else the server would take the storage for one that the other hosts do not share, and have it cleaned up."""
    mine = host(tmp_path)
    with pytest.raises(StorageAway, match=f"{unmounted}.*not mounted"):
        mine.pool_reports()
    assert set(mine.identities()) == {"local"}
    assert list((tmp_path / "mount").iterdir()) == []


@pytest.mark.usefixtures("unmounted")
def test_nothing_is_made_in_a_bare_mount_point(tmp_path: Path) -> None:
    mine, disk = host(tmp_path), DiskFact(target="vda", path="", pool="shared", exists=True, virtual_bytes=1 << 20)
    for attempt in (
        lambda: mine.make(SPEC, {}),
        lambda: mine.make_targets(SPEC, GuestDescription(disks=(disk,)), {}),
        lambda: mine.memory(SPEC),
    ):
        with pytest.raises(StorageAway):
            attempt()
    assert list((tmp_path / "mount").iterdir()) == []


def test_a_disk_is_neither_missing_nor_deleted_while_its_storage_is_away(tmp_path: Path, unmounted: str) -> None:
    mine = host(tmp_path)
    with pytest.raises(StorageAway):
        mine.facts(SPEC)
    with pytest.raises(StorageAway):
        mine.remove(SPEC.uuid, ["shared"])
    with pytest.raises(StorageAway):
        mine.remove(SPEC.uuid, ["shared"], [unmounted])
    assert len(mine.all_homes(SPEC.uuid)) == 2  # ending a guest must not depend on it


def test_the_storage_comes_back(tmp_path: Path, unmounted: str) -> None:
    mine = host(tmp_path)
    with pytest.raises(StorageAway):
        mine.facts(SPEC)
    (tmp_path / "mount").rmdir()
    (tmp_path / "storage").rename(tmp_path / "mount")
    assert mine.identities()["shared"] == unmounted
    assert [fact.exists for fact in mine.facts(SPEC)] == [True]


def test_another_storage_in_its_place_is_refused_until_an_operator_says_so(tmp_path: Path, unmounted: str) -> None:
    (tmp_path / "mount" / MARKER).write_text("11111111-2222-4333-8444-555555555555\n")
    with pytest.raises(StorageAway, match="given way to 11111111") as refused:
        host(tmp_path).remove(SPEC.uuid, ["shared"], [unmounted])
    assert str(tmp_path / "state/storage") in (refused.value.advice or "")
    (tmp_path / "state/storage").unlink()
    assert host(tmp_path).identities()["shared"].startswith("11111111")


def test_a_wiped_pool_is_noticed_by_the_same_process(tmp_path: Path) -> None:
    mine = Disks({"shared": tmp_path / "mount"}, "shared")
    mine.identities()
    shutil.rmtree(tmp_path / "mount")
    with pytest.raises(StorageAway):
        mine.facts(SPEC)


def test_another_host_finds_a_proof_only_in_the_same_storage(tmp_path: Path) -> None:
    pool, clone = tmp_path / "pool", tmp_path / "clone"
    pool.mkdir()
    one, other = Disks({"a": pool}, "a", host="n1"), Disks({"a": pool}, "a", host="n2")
    identity = one.identities()["a"]
    shutil.copytree(pool, clone)
    proofs = one.prove(["a"])
    assert other.compare_storage({"a": identity}, proofs) == (frozenset({"a"}), frozenset())
    copied = Disks({"a": clone}, "a", host="n3")
    assert copied.identities()["a"] == identity
    assert copied.compare_storage({"a": identity}, proofs) == (frozenset(), frozenset({"a"}))
    assert other.compare_storage({"a": identity}, {}) == (frozenset(), frozenset({"a"}))
    assert other.compare_storage({"a": "another"}, proofs) == (frozenset(), frozenset())
    assert one.prove(["a"]) != proofs, "each is new"


@pytest.mark.parametrize("proof", ["../../etc/passwd", "/etc/passwd", "n1/../../x", "", "n1", "../" + "0" * 36])
def test_a_proof_names_nothing_outside_of_its_folder(tmp_path: Path, proof: str) -> None:
    mine = Disks({"a": tmp_path}, "a")
    assert mine.compare_storage({"a": mine.identities()["a"]}, {"a": proof})[0] == frozenset()


def test_a_hosts_own_proof_is_written_seldom_and_a_full_pool_is_described_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Disks({"a": tmp_path}, "a", host="n1")
    first = mine.pool_reports()["a"].proof
    assert first
    assert mine.pool_reports()["a"].proof == first
    monkeypatch.setattr("migrator.compute.storage.pool_identity.PROOF_S", 0.0)
    again = mine.pool_reports()["a"].proof
    assert again != first
    monkeypatch.setattr("pathlib.Path.touch", _full)
    assert mine.pool_reports()["a"].proof == again


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_pool_that_this_host_does_not_have_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    mine = host(tmp_path)
    with pytest.raises(StorageError, match="no storage pool nowhere"):
        mine.prove(["local", "nowhere"])
    assert not (tmp_path / "local" / ".migrator-proofs").exists()
