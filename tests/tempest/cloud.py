"""What tempest runs against: migrator's server behind a real Keystone, and simulated hosts, each in a process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from migrator.db import credentials
from migrator.db.engine import Database
from migrator.demo.simulated_hosts import TOKENS, URL
from tests.keystone.cloud import MIGRATOR, Keystone, running
from tests.ports import free_port
from tests.waiting import wait_for

HOSTS = ("n1", "n2", "n3")
FLAVORS = {"1": ("m1.nano", 64), "2": ("m1.micro", 128)}  # id -> name, MiB of memory
IMAGES = ("tiny", "tiny2")
QUOTAS = {"MIGRATOR_QUOTA_INSTANCES": "100", "MIGRATOR_QUOTA_CORES": "200", "MIGRATOR_QUOTA_RAM": "512000"}
NETWORK: dict[str, Any] = {"name": "lab", "bridge": "br0", "cidr": "10.9.0.0/16", "ranges": ["10.9.1.0-10.9.250.0"]}


@dataclass(frozen=True, slots=True)
class Cloud:
    keystone_url: str
    image_ids: tuple[str, ...]
    flavor_ids: tuple[str, ...] = tuple(FLAVORS)
    hosts: tuple[str, ...] = HOSTS


@contextlib.contextmanager
def started(directory: Path) -> Iterator[Cloud]:
    """``directory`` is empty, and has each process's log afterwards."""
    with contextlib.ExitStack() as stack:
        keystone = stack.enter_context(running(directory))
        root = f"http://127.0.0.1:{free_port()}"
        _catalogue(keystone, root)
        database = f"sqlite:///{directory}/migrator.db"
        server = {
            "MIGRATOR_DATABASE": database,
            "MIGRATOR_LISTEN": root.removeprefix("http://"),
            "MIGRATOR_IMAGE_DIR": str(directory / "images"),
            "MIGRATOR_AUTH_STRATEGY": "keystone",
            "MIGRATOR_KEYSTONE_AUTH_URL": keystone.url,
            "MIGRATOR_KEYSTONE_PASSWORD": MIGRATOR,
            **QUOTAS,
        }
        stack.enter_context(_process(directory / "server.log", "migrator.cli.main", "server", **server))
        admin = stack.enter_context(_administrator(keystone, root))
        wait_for(lambda: _answers(admin), 60, "the server answers", [directory / "server.log"])
        agents = {URL: root, TOKENS: json.dumps(_credentials(database))}
        stack.enter_context(_process(directory / "agents.log", "migrator.demo.simulated_hosts", **agents))
        wait_for(lambda: _hosts_up(admin) == len(HOSTS), 60, "the hosts are up", [directory / "agents.log"])
        _fill(admin)
        yield Cloud(keystone.url, tuple(_image(admin, name) for name in IMAGES))


def _catalogue(keystone: Keystone, root: str) -> None:
    """As an operator fills it who has had OpenStack for long: the compute service's URL has the project's id."""
    for kind, path in (("compute", "/v2.1/%(project_id)s"), ("image", "/image")):
        service = keystone.post("/services", {"service": {"type": kind, "name": kind}})["service"]["id"]
        place = {"service_id": service, "interface": "public", "region_id": "RegionOne"}
        keystone.post("/endpoints", {"endpoint": {**place, "url": f"{root}{path}"}})


def _administrator(keystone: Keystone, root: str) -> httpx.Client:
    token = keystone.token("admin", project="admin")
    headers = {"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.96"}
    return httpx.Client(base_url=root, headers=headers, timeout=60, trust_env=False)


def _answers(admin: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return admin.get("/").status_code == 200
    return False


def _credentials(database: str) -> dict[str, str]:
    db = Database(database)
    try:
        return {host: credentials.issue(db, host) for host in HOSTS}
    finally:
        db.close()


def _hosts_up(admin: httpx.Client) -> int:
    return sum(service["state"] == "up" for service in admin.get("/v2.1/os-services").json()["services"])


def _fill(admin: httpx.Client) -> None:
    admin.post("/v1/networks", json={"network": NETWORK}).raise_for_status()
    for ident, (name, ram) in FLAVORS.items():
        flavor = {"name": name, "id": ident, "vcpus": 1, "ram": ram, "disk": 1}
        admin.post("/v2.1/flavors", json={"flavor": flavor}).raise_for_status()


def _image(admin: httpx.Client, name: str) -> str:
    wanted = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    ident = str(admin.post("/image/v2/images", json=wanted).raise_for_status().json()["id"])
    octets = {"Content-Type": "application/octet-stream"}
    admin.put(f"/image/v2/images/{ident}/file", content=b"\0" * 4096, headers=octets).raise_for_status()
    return ident


@contextlib.contextmanager
def _process(log: Path, module: str, *arguments: str, **environment: str) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "MIGRATOR_"))}
    with log.open("wb") as output:
        command = [sys.executable, "-m", module, *arguments]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": output, "stderr": output}
        child = subprocess.Popen(command, env=kept | environment, **pipes)
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
