"""What server and agent write is their user's alone to read, whatever the umask, and what was open is closed."""

import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migrator.compute import machine
from migrator.compute.image_cache import Fetch, ImageCache
from migrator.compute.journal import open_journal
from migrator.compute.storage.atomic_files import publish
from migrator.compute.storage.disks import Disks
from migrator.compute.storage.file_permissions import narrow_pool, narrow_state
from migrator.compute.storage.pool_identity import MARKER
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.protocol import DiskSpec, ImageRef, InstanceSpec
from tests.unit.compute.storage.disk_specs import spec

IMAGE = "0e9fd0aa-0b0e-4f4e-9f5f-000000000001"


@pytest.fixture(params=[0o022, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(below: Path) -> list[str]:
    """What another user could read or write, below a folder."""
    return [f"{path} {mode(path):o}" for path in sorted(below.rglob("*")) if mode(path) & 0o066]


@pytest.mark.usefixtures("umask")
def test_the_database_is_private_with_all_that_sqlite_makes_beside_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/migrator.db"
    upgrade(url)
    db = Database(url)
    with db.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (a)")
        assert {path.name for path in tmp_path.iterdir()} == {f"migrator.db{end}" for end in ("", "-wal", "-shm")}
        assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
    db.close()


def test_a_database_that_was_open_is_closed_to_others_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/migrator.db"
    upgrade(url)
    first = Database(url)
    with first.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (a)")
        for path in tmp_path.iterdir():
            path.chmod(0o644)
        with caplog.at_level(logging.WARNING):
            Database(url).close()
        assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
    first.close()
    assert [record.message for record in caplog.records if "open to other users" in record.message] == [
        f"the database {tmp_path}/migrator.db: 3 files and folders were open to other users; they are closed now"
    ]


def test_a_folder_that_holds_the_database_alone_is_closed_to_others_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    folder.chmod(0o777)
    for _ in range(2):
        upgrade(f"sqlite:///{folder}/migrator.db")
        assert mode(folder) == 0o711
    assert [record.message for record in caplog.records if "open to other users" in record.message] == [
        f"the folder {folder} of the database: 1 files and folders were open to other users; they are closed now"
    ]


@pytest.mark.parametrize(("wide", "others"), [(0o755, "images"), (0o1777, None)])
def test_a_folder_that_the_database_shares_is_left_and_named(
    wide: int, others: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    folder.chmod(wide)
    if others is not None:
        (folder / others).mkdir()
    upgrade(f"sqlite:///{folder}/migrator.db")
    assert mode(folder) == wide
    (line,) = [record.message for record in caplog.records if "open to other users" in record.message]
    assert line == (
        f"the folder {folder} of the database is open to other users (mode {wide:o}), and is left as it is, for they "
        "may use it: choose a folder that holds nothing else, or close this one if no other user needs it: chmod 711 "
        f"{folder}"
    )


@pytest.mark.parametrize("narrow_enough", [0o700, 0o711])
def test_a_folder_of_the_database_that_others_can_only_pass_is_not_spoken_of(
    narrow_enough: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    folder.chmod(narrow_enough)
    upgrade(f"sqlite:///{folder}/migrator.db")
    assert mode(folder) == narrow_enough
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.usefixtures("umask")
def test_an_agents_state_is_private(tmp_path: Path) -> None:
    state = tmp_path / "above" / "state"
    journal = open_journal(state / "journal")
    journal.begin("operation", 1)
    journal.close()
    content = b"content"
    image = ImageRef(id=IMAGE, size_bytes=7, checksum_sha256=hashlib.sha256(content).hexdigest(), disk_format="raw")
    cached = ImageCache(state / "images", given(content)).ensure([image])[IMAGE]
    machine.identify(Machine(), state / "machine")  # type: ignore[arg-type]
    Disks({"local": tmp_path / "local"}, "local", state / "storage").identities()
    assert {path.name for path in state.iterdir()} >= {"journal", "journal.lock", "images", "machine", "storage"}
    assert open_to_others(tmp_path / "above") == []
    assert mode(cached) == 0o600
    assert mode(state / "images") == 0o700


class Machine:
    def machine(self) -> str:
        return "0e9fd0aa-0b0e-4f4e-9f5f-000000000009"


def given(content: bytes) -> Fetch:
    @contextmanager
    def fetch(_: str) -> Iterator[Iterator[bytes]]:
        yield iter([content])

    return fetch


def with_disks() -> InstanceSpec:
    disks = (
        DiskSpec(target="vda", pool="local", size_gb=1, format="qcow2", image_id=IMAGE),
        DiskSpec(target="vdb", pool="local", size_gb=1, format="raw"),
        DiskSpec(target="sda", pool="local", size_gb=0, format="raw", config_drive=True),
    )
    return spec(*disks, kernel=IMAGE).model_copy(
        update={"images": (ImageRef(id=IMAGE, size_bytes=512, checksum_sha256="", disk_format="raw"),)}
    )


@pytest.mark.usefixtures("umask")
def test_disks_and_what_lies_under_them_are_private_and_qemu_can_pass_to_them(tmp_path: Path) -> None:
    image, pool = tmp_path / "image", tmp_path / "above" / "local"
    image.write_bytes(b"\0" * 512)
    disks, wanted = Disks({"local": pool}, "local"), with_disks()
    disks.free_bytes()
    disks.make(wanted, {IMAGE: image})
    home = disks.directory(wanted.uuid, "local")
    assert {path.name for path in home.iterdir()} == {"disk", "disk.vdb", "disk.config", "kernel"}
    assert {mode(path) for path in home.iterdir()} == {0o600}
    assert mode(pool / "_base" / IMAGE) == 0o600
    assert {mode(path) for path in (home, pool / "_base", pool, pool.parent)} == {0o711}


def test_what_was_open_in_pool_and_state_is_closed_with_one_line_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, pool, state = tmp_path / "image", tmp_path / "local", tmp_path / "state"
    image.write_bytes(b"\0" * 512)
    disks, wanted = Disks({"local": pool}, "local"), with_disks()
    disks.make(wanted, {IMAGE: image})
    open_journal(state / "journal").close()
    (state / "consoles").mkdir()
    publish(state / "images" / "one", lambda part: part.write_text("x"))
    disks.identities()
    (pool / "others").write_text("not ours")
    for path in [pool, *pool.rglob("*"), state, *state.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            narrow_pool(pool)
            narrow_state(state)
    assert open_to_others(state) == []
    assert open_to_others(pool) == [f"{pool / MARKER} 666", f"{pool / 'others'} 666"]
    assert mode(disks.directory(wanted.uuid, "local")) == mode(state / "consoles") == mode(state) == 0o711
    assert mode(state / "images") == 0o700
    assert len(caplog.records) == 2


def test_a_user_that_is_not_the_agents_passes_to_a_file_that_it_owns_and_reads_no_other(tmp_path: Path) -> None:
    """As QEMU under libvirt's dynamic ownership, where another user can be become."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    root = Path("/tmp") / f"migrator-passage-{os.getpid()}"
    root.mkdir(mode=0o711)
    try:
        image = tmp_path / "image"
        image.write_bytes(b"\0" * 512)
        disks, wanted = Disks({"local": root / "local"}, "local"), with_disks()
        disks.make(wanted, {IMAGE: image})
        home = disks.directory(wanted.uuid, "local")
        for path in (home / "disk", root / "local" / "_base" / IMAGE):
            os.chown(path, 65534, 65534)
        can = {path: as_nobody(path) for path in (home / "disk", root / "local" / "_base" / IMAGE, home / "disk.vdb")}
        assert list(can.values()) == [True, True, False]
    finally:
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        root.rmdir()


def as_nobody(path: Path) -> bool:
    """Whether that user can open it for reading."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.close(os.open(path, os.O_RDONLY))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
