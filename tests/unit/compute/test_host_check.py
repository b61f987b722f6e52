"""What a host lacks is found, and each lack has what mends it."""

import dataclasses
import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrator.cli.main import main
from migrator.compute.host_check import observe
from migrator.compute.host_check.checks import CLOCK_S, ROOM_BYTES, Folder, Found, Server, results
from migrator.settings import AgentSettings

WELL = Found(
    host="n1",
    libvirt="",
    migration_uri="qemu+tcp://10.0.0.11/system",
    port="",
    tls="",
    guests_service="",
    programs={"qemu-img": True, "/dev/kvm": True},
    state=Folder("/state", free_bytes=ROOM_BYTES),
    server=Server("http://s:1", status=200, clock_s=CLOCK_S),
    pools={"local": Folder("/pool", free_bytes=ROOM_BYTES)},
)


def test_nothing_is_missing_on_a_host_that_has_it_all() -> None:
    assert [result for result in results(WELL) if not result.ok or result.mend] == []


@pytest.mark.parametrize(
    ("changed", "missing", "mend"),
    [
        ({"libvirt": "it is down"}, "libvirt", "systemctl enable --now libvirtd.socket"),
        ({"port": "refused"}, "migration-port", "systemctl enable --now libvirtd-tcp.socket"),
        ({"port": "refused", "migration_uri": "qemu+tls://n/system"}, "migration-port", "libvirtd-tls.socket"),
        ({"tls": "no ca-cert.pem"}, "certificates", "Encrypted migrations"),
        ({"programs": {"qemu-img": False}}, "qemu-img", "apt install qemu-utils"),
        ({"programs": {"/dev/kvm": False}}, "/dev/kvm", "virt_type = qemu"),
        ({"pools": {"x": Folder("/x", "is not mounted")}}, "pool x", "mount its storage"),
        ({"pools": {"x": Folder("/x", free_bytes=ROOM_BYTES - 1)}}, "pool x", "free room"),
        ({"state": Folder("/s", free_bytes=ROOM_BYTES, open_to_others=True)}, "journal", "chmod go-w /s"),
        ({"server": Server("u", status=401, clock_s=0.0)}, "credential", "migrator agent-credential n1"),
        ({"server": Server("u", status=503, clock_s=0.0)}, "credential", "journalctl -u migrator-server"),
        ({"server": Server("u", status=200, clock_s=-CLOCK_S - 1)}, "clock", "timedatectl set-ntp true"),
        ({"guests_service": "it starts guests"}, "libvirt-guests", "systemctl mask --now libvirt-guests"),
    ],
)
def test_each_lack_is_named_alone_with_what_mends_it(changed: dict[str, Any], missing: str, mend: str) -> None:
    found = [result for result in results(dataclasses.replace(WELL, **changed)) if not result.ok]
    assert [result.check for result in found] == [missing]
    assert mend in found[0].mend


def test_a_server_that_is_not_reached_leaves_credential_and_clock_unknown() -> None:
    found = results(dataclasses.replace(WELL, server=Server("u", "refused")))
    assert [result.check for result in found if not result.ok] == ["server", "credential", "clock"]


@pytest.mark.parametrize(("ahead_s", "status"), [(0, 200), (60, 200), (-60, 401)])
def test_the_server_is_asked_with_the_credential_and_its_clock_compared(ahead_s: float, status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/agent/v1/hosts/n1/questions"
        assert request.headers["Authorization"] == "Bearer secret"
        return httpx.Response(status, headers={"Date": formatdate(time.time() - ahead_s, usegmt=True)})

    settings = AgentSettings(server_url="http://server", host="n1", token="secret")
    server = observe.ask_server(settings, httpx.MockTransport(answer))
    assert (server.problem, server.status) == ("", status)
    assert server.clock_s is not None
    assert abs(server.clock_s - ahead_s) < 2


def test_a_folder_that_others_may_write_or_that_is_none_is_seen(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "file").touch()
    assert observe.folder(tmp_path).open_to_others
    assert "is not a folder" in observe.folder(tmp_path / "file").problem
    assert "No such file" in observe.folder(tmp_path / "absent").problem


def test_the_command_says_what_is_missing_in_json_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "SERVER_URL": "http://127.0.0.1:9",
        "LIVE_MIGRATION_INBOUND_ADDR": "127.0.0.1",
        "LIVE_MIGRATION_URI": "qemu+tcp://%s:9/system",
        "LIBVIRT_URI": f"qemu+unix:///system?socket={tmp_path}/absent",
        "STATE_PATH": str(tmp_path / "state"),
        "STORAGE": json.dumps({"local": str(tmp_path / "pool")}),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"MIGRATOR_{name}", value)
    assert main(["agent", "--check", "--json"]) == 1
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    for name in ("libvirt", "migration-port", "pool local", "journal", "server"):
        assert not rows[name]["ok"], name
        assert rows[name]["mend"], name
    assert "port 9" in rows["migration-port"]["found"]
    assert list(tmp_path.iterdir()) == []
