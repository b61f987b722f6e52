"""The units are what systemd reads without a complaint, and what they start says READY, WATCHDOG and STOPPING."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE

PACKAGING = Path(__file__).parents[2] / "packaging"
UNITS = ("migrator-server.service", "migrator-agent.service")
EXPOSED = {"migrator-server.service": 20, "migrator-agent.service": 35}  # tenths, of systemd-analyze's 10.0


def tool(name: str, *arguments: str) -> str:
    """What it says. Raises AssertionError for a failure."""
    assert shutil.which(name) is not None, "script/bootstrap installs it"
    done = subprocess.run([name, *arguments], capture_output=True, text=True, timeout=PATIENCE * 20)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        text = (PACKAGING / "systemd" / name).read_text()
        assert text.count("/opt/migrator/bin/migrator ") == 1
        (tmp_path / name).write_text(text.replace("/opt/migrator/bin/migrator ", "/bin/true "))
    assert tool("systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in UNITS)) == ""


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_unit_may_do_does_not_grow(unit: str) -> None:
    tool("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSED[unit]}", f"{PACKAGING}/systemd/{unit}")


def test_the_server_s_user_is_one_that_systemd_makes(tmp_path: Path) -> None:
    told = tool("systemd-sysusers", "--dry-run", f"--root={tmp_path}", f"{PACKAGING}/sysusers.d/migrator-server.conf")
    assert "user 'migrator'" in told


def test_folders_are_made_and_what_is_below_them_is_left(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root gives files to others")
    for folder in ("etc/migrator", "usr/lib/tmpfiles.d", "var/lib/migrator/instances"):
        (tmp_path / folder).mkdir(parents=True)
    for file in (PACKAGING / "tmpfiles.d").iterdir():
        shutil.copy(file, tmp_path / "usr/lib/tmpfiles.d")
    (tmp_path / "etc/group").write_text("root:x:0:\nmigrator:x:990:\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    made = {name: tmp_path / name for name in ("etc/migrator/agent.toml", "etc/migrator/server.toml")}
    disk = tmp_path / "var/lib/migrator/instances/disk"
    for path in (*made.values(), disk):
        path.touch(0o644)
    os.chown(disk, 64055, 64055)
    tool("systemd-tmpfiles", f"--root={tmp_path}", "--create", "migrator-agent.conf", "migrator-server.conf")
    assert [(path.stat().st_mode & 0o777, path.stat().st_gid) for path in made.values()] == [(0o600, 0), (0o640, 990)]
    assert (tmp_path / "var/lib/migrator/agent").stat().st_mode & 0o777 == 0o711
    assert (disk.stat().st_uid, disk.stat().st_mode & 0o777) == (64055, 0o644)


def test_server_and_agent_say_ready_watchdog_and_stopping(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "m.db")
    settings = {
        "server": {
            "MIGRATOR_DATABASE": f"sqlite:///{tmp_path}/m.db",
            "MIGRATOR_IMAGE_DIR": f"{tmp_path}/images",
            "MIGRATOR_LISTEN": f"127.0.0.1:{free_port()}",
        },
        "agent": {
            "MIGRATOR_SIMULATED": "true",
            "MIGRATOR_STATE_PATH": f"{tmp_path}/state",
            "MIGRATOR_STORAGE": f'{{"local": "{tmp_path}/local"}}',
            "MIGRATOR_SERVER_URL": "http://127.0.0.1:9",  # no server is there: the agent is up all the same
        },
    }
    started = [Notified(kind, tmp_path, environment) for kind, environment in settings.items()]
    try:
        for process in started:
            assert process.hear() == "READY=1"
            assert process.hear() == "WATCHDOG=1"
            assert process.hear() == "WATCHDOG=1"
            process.process.send_signal(signal.SIGTERM)
        for process in started:
            while (said := process.hear()) == "WATCHDOG=1":
                pass
            assert said == "STOPPING=1"
            assert process.process.wait(PATIENCE * 10) == 0
    finally:
        for process in started:
            process.end()


class Notified:
    """A process of ``migrator`` whose service manager is this one."""

    def __init__(self, kind: str, folder: Path, settings: dict[str, str]) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / f"{kind}.notify"))
        self.socket.settimeout(PATIENCE * 20)
        notify = {"NOTIFY_SOCKET": str(folder / f"{kind}.notify"), "WATCHDOG_USEC": "300000"}
        with (folder / f"{kind}.log").open("w") as log:
            command = [sys.executable, "-m", "migrator.cli.main", kind]
            self.process = subprocess.Popen(command, env=os.environ | settings | notify, stderr=log)

    def hear(self) -> str:
        return self.socket.recv(200).decode()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.socket.close()
