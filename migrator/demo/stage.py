"""Where the demo plays: a server process, and hosts that are real (the lab) or simulated. Owns their life and end.

A stage is entered once and leaves nothing behind, however it is left.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx

from migrator.db.credentials import issue
from migrator.db.engine import Database
from migrator.db.upgrade import upgrade
from migrator.demo import simulated_hosts
from migrator.demo.cloud import Cloud, DemoFailed, wait_for

if TYPE_CHECKING:
    from migrator.lab import LabHost

Tell = Callable[[str], None]
SIMULATED_HOSTS = ("sim1", "sim2", "sim3")
AGENTS_PORT = 8775
GUEST_ARGS = "fill=16 again=2"  # what its disk keeps, MiB, and how often it is read back, s


class PowerControl(Protocol):
    """The hosts' plugs. A host that has power again starts libvirtd and its agent; no guest starts with it."""

    def power_off(self, host: str) -> None: ...

    def power_on(self, host: str) -> None: ...


@dataclass
class Stage:
    """``consoles`` gives an instance's console file on every host; empty where guests are simulated."""

    simulated: bool
    url: str
    cloud: Cloud
    hosts: list[str]
    image: Callable[[], str]
    power: PowerControl
    consoles: Callable[[str], Mapping[str, Path]] = lambda _uuid: {}
    stop_hint: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LabPower:
    hosts: "Sequence[LabHost]"
    agents_at: str
    tokens: Mapping[str, str]

    def power_off(self, host: str) -> None:
        self._find(host).power_off()

    def power_on(self, host: str) -> None:
        found = self._find(host)
        found.power_on()
        found.start_agent(self.agents_at, self.tokens[host])

    def _find(self, name: str) -> "LabHost":
        return next(host for host in self.hosts if host.name == name)


@contextlib.contextmanager
def real(listen: str, tell: Tell, keep: Callable[[], bool]) -> Iterator[Stage]:
    """Three real hosts in the lab, an agent on each, one server on SQLite."""
    from migrator.lab import Lab
    from migrator.lab.image import KERNEL_ARGS, build_guest, register_guest

    tell("the guest: kernel, initramfs and disk")
    build_guest()
    lab = Lab("demo")
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(_directory(keep))
        lab.down()  # what an interrupted run may have left
        lab.up(tell)
        stack.callback(lambda: None if keep() else lab.down())
        agents_at = f"{lab.server_address}:{AGENTS_PORT}"
        server, cloud = stack.enter_context(_server(listen, top, keep, agent_listen=agents_at))
        power = LabPower(lab.hosts, f"http://{agents_at}", _credentials(top, [host.name for host in lab.hosts]))
        for host in lab.hosts:
            power.power_on(host.name)
        tell("agents start; each registers its host")
        hosts = _all_up(cloud, [host.name for host in lab.hosts])
        yield Stage(
            simulated=False,
            url=f"http://{listen}",
            cloud=cloud,
            hosts=hosts,
            image=lambda: register_guest(f"http://{listen}", kernel_args=f"{KERNEL_ARGS} {GUEST_ARGS}"),
            power=power,
            consoles=lambda uuid: {host.name: host.console_log(uuid) for host in lab.hosts},
            stop_hint=[f"kill {server}", "migrator lab down --name demo", f"rm -r {top}"],
        )


@contextlib.contextmanager
def simulated(listen: str, tell: Tell, keep: Callable[[], bool]) -> Iterator[Stage]:
    """Three simulated hosts, whose agents are real ones, and one server on SQLite."""
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(_directory(keep))
        server, cloud = stack.enter_context(_server(listen, top, keep))
        tokens = _credentials(top, list(SIMULATED_HOSTS))
        tell("simulated hosts: " + ", ".join(SIMULATED_HOSTS))
        argv = [sys.executable, "-m", simulated_hosts.__name__]
        environment = {simulated_hosts.TOKENS: json.dumps(tokens), simulated_hosts.URL: f"http://{listen}"}
        agents = stack.enter_context(_process(argv, top / "agents.log", keep, **environment))
        assert agents.stdin is not None
        yield Stage(
            simulated=True,
            url=f"http://{listen}",
            cloud=cloud,
            hosts=_all_up(cloud, list(SIMULATED_HOSTS)),
            image=lambda: _small_image(cloud, f"http://{listen}"),
            power=simulated_hosts.SimulatedHosts(agents.stdin),
            stop_hint=[f"kill {agents.pid} {server}", f"rm -r {top}"],
        )


def free_endpoint(wanted: str | None) -> str:
    """The endpoint to listen on; raises DemoFailed when something listens there already."""
    endpoint = wanted or "127.0.0.1:8774"
    host, _, port = endpoint.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        if port != "0" and probe.connect_ex((host, int(port))) == 0:
            raise DemoFailed(f"something listens on {endpoint} already", advice="stop it, or give --listen HOST:PORT")
    return endpoint


@contextlib.contextmanager
def _directory(keep: Callable[[], bool]) -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="migrator-demo-"))
    try:
        yield top
    finally:
        if not keep():
            shutil.rmtree(top, ignore_errors=True)


@contextlib.contextmanager
def _server(
    listen: str, top: Path, keep: Callable[[], bool], agent_listen: str | None = None
) -> Iterator[tuple[int, Cloud]]:
    upgrade(_database(top))
    settings = {
        "MIGRATOR_DATABASE": _database(top),
        "MIGRATOR_LISTEN": listen,
        "MIGRATOR_IMAGE_DIR": str(top / "images"),
        "MIGRATOR_SERVICE_DOWN_TIME": "15",
        **dict.fromkeys(("MIGRATOR_QUOTA_INSTANCES", "MIGRATOR_QUOTA_CORES", "MIGRATOR_QUOTA_RAM"), "-1"),
    }
    if agent_listen is not None:
        settings["MIGRATOR_AGENT_LISTEN"] = agent_listen
    argv = [sys.executable, "-m", "migrator.cli.main", "server"]
    with _process(argv, top / "server.log", keep, **settings) as child:
        cloud = Cloud(f"http://{listen}")
        try:
            wait_for(lambda: _answers(cloud, child.pid, top / "server.log"), "the server to answer", timeout=30)
            yield child.pid, cloud
        finally:
            cloud.close()


def _answers(cloud: Cloud, pid: int, log: Path) -> bool | None:
    if os.waitpid(pid, os.WNOHANG) != (0, 0):
        raise DemoFailed(f"the server ended: {log.read_text()[-500:]}")
    with contextlib.suppress(DemoFailed):
        cloud.call("GET", "/healthz")
        return True
    return None


@contextlib.contextmanager
def _process(
    argv: list[str], log: Path, keep: Callable[[], bool], **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A child in a session of its own, so that Ctrl-C reaches it through us, in order."""
    env = os.environ | environment
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield child
    finally:
        if not keep():
            _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(10)


def _database(top: Path) -> str:
    return f"sqlite:///{top / 'migrator.db'}"


def _credentials(top: Path, hosts: list[str]) -> dict[str, str]:
    db = Database(_database(top))
    try:
        return {host: issue(db, host) for host in hosts}
    finally:
        db.close()


def _all_up(cloud: Cloud, hosts: list[str]) -> list[str]:
    return wait_for(lambda: hosts if cloud.hosts_up() == sorted(hosts) else None, f"{', '.join(hosts)} to be up")


def _small_image(cloud: Cloud, url: str) -> str:
    wanted = {"name": "tick", "disk_format": "raw", "container_format": "bare"}
    image = str(cloud.call("POST", "/image/v2/images", wanted)["id"])
    headers = {"Content-Type": "application/octet-stream"}
    httpx.put(f"{url}/image/v2/images/{image}/file", content=b"simulated", headers=headers).raise_for_status()
    return image
