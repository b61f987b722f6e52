"""What a host that joins writes, and what it says where it cannot."""

import tomllib
from pathlib import Path
from stat import S_IMODE

import httpx
import pytest

from migrator.compute import host_join
from migrator.compute.host_join import ConfigFile, Found
from migrator.errors import Conflict, MigratorError, ServerUnreachable, SettingInvalid, Unauthorized
from migrator.protocol import Joined
from migrator.settings import AgentSettings, load

URL = "https://server.example:8775"
JOINED = Joined(host='n"1\\', token="secret")


def answered(status: int, content: bytes) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _request: httpx.Response(status, content=content))


def test_the_file_is_private_and_says_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "agent.toml"
    file = ConfigFile(path, force=False)
    assert not path.exists()
    found = Found("10.0.0.11", ("br0", "virbr0"), kvm=False)
    file.write(host_join.configuration(URL, Path("/etc/ca.pem"), JOINED, found))
    file.give_up()
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in path.parent.iterdir()] == ["agent.toml"]
    assert tomllib.loads(path.read_text()) == {
        "server_url": URL,
        "host": 'n"1\\',
        "token": "secret",
        "server_ca": "/etc/ca.pem",
        "live_migration_inbound_addr": "10.0.0.11",
        "virt_type": "qemu",
    }
    assert "br0, virbr0" in path.read_text()


def test_the_agent_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    joined = Joined(host="n1", token="secret")
    ConfigFile(path, force=False).write(
        host_join.configuration("http://10.0.0.1:8775", None, joined, Found("", (), kvm=True))
    )
    read = load(AgentSettings, str(path))
    assert (read.host, read.token, read.server_url, read.virt_type) == ("n1", "secret", "http://10.0.0.1:8775", "kvm")


def test_a_file_that_is_there_stays_unless_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("mine")
    with pytest.raises(Conflict, match=r"agent\.toml is there"):
        ConfigFile(path, force=False)
    ConfigFile(path, force=True).give_up()
    assert path.read_text() == "mine"
    ConfigFile(path, force=True).write("new")
    assert path.read_text() == "new"


def test_a_place_that_cannot_be_written_is_named_before_the_join_token_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingInvalid, match="cannot be written"):
        ConfigFile(tmp_path / "file" / "agent.toml", force=False)


def test_a_disk_that_fails_at_the_end_is_one_sentence_too(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "agent.toml", force=False)
    (tmp_path / "agent.toml").mkdir()
    with pytest.raises(SettingInvalid, match="cannot be written") as caught:
        file.write("text")
    assert "--replace" in caught.value.sentence


@pytest.mark.parametrize(
    ("status", "content", "kind", "message"),
    [
        (401, b'{"error": {"message": "not known", "advice": "again"}}', Unauthorized, "not known"),
        (404, b"<html>", ServerUnreachable, "answered 404"),
        (404, b'{"error": []}', ServerUnreachable, "answered 404"),
        (503, b'{"error": {"message": "busy"}}', ServerUnreachable, "busy"),
        (200, b"hello", ServerUnreachable, "makes no sense"),
        (200, b'{"host": "n1", "token": ""}', ServerUnreachable, "makes no sense"),
    ],
)
def test_what_the_server_refuses_is_one_sentence(
    status: int, content: bytes, kind: type[MigratorError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        host_join.take("http://10.0.0.1:8775", "t", None, answered(status, content))


def test_bridges_are_found_by_what_the_kernel_shows(tmp_path: Path) -> None:
    for name in ("br0/bridge", "eth0/device", "virbr0/bridge"):
        (tmp_path / name).mkdir(parents=True)
    assert host_join.bridges(tmp_path) == ("br0", "virbr0")
