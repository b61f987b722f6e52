"""Looks at this host, its libvirtd and its server, for ``checks``. Each look has a time limit; nothing is changed."""

import os
import platform
import shutil
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from migrator.compute.agent import server_trust
from migrator.compute.host_check.checks import Folder, Found, Server
from migrator.compute.libvirt import guests_service, tls
from migrator.compute.network.addresses import address_towards, bracketed
from migrator.compute.network.port_check import probe_port
from migrator.compute.storage.pool_identity import Identities
from migrator.errors import MigratorError
from migrator.settings import AgentSettings

_SERVER_S = 5.0
_OTHERS_WRITE = 0o022


def observe(settings: AgentSettings) -> Found:
    """Raises SettingInvalid for a ``server_ca`` that is none."""
    address = settings.live_migration_inbound_addr or _own_address(settings)
    uri = settings.migration_uri(bracketed(address))
    encrypted = settings.live_migration_with_native_tls
    return Found(
        host=settings.host,
        libvirt=_opens(settings.libvirt_uri),
        migration_uri=uri,
        port=probe_port(uri) or _opens(settings.peer_uri(uri)),
        tls=tls.report(address).message if encrypted else "",
        guests_service="; ".join(guests_service.warnings()),
        programs=_programs(settings),
        pools=_pools(settings),
        state=folder(settings.state_path),
        server=ask_server(settings),
    )


def _own_address(settings: AgentSettings) -> str:
    try:
        return address_towards(settings.server_url)
    except MigratorError:
        return "127.0.0.1"  # the check of the server says that it is not reached


def _opens(uri: str) -> str:
    try:
        from migrator.compute.libvirt.bindings.connections import connect
    except ModuleNotFoundError as error:
        return f"there is no {error.name}, libvirt's library for Python: pip install libvirt-python"
    connection = connect(uri)
    try:
        connection.open()
    except MigratorError as error:
        return error.message
    finally:
        connection.close()
    return ""


def _programs(settings: AgentSettings) -> dict[str, bool]:
    names = (f"qemu-system-{platform.machine()}", "qemu-img", "prlimit")
    found = {name: shutil.which(name) is not None for name in names}
    return found | ({"/dev/kvm": Path("/dev/kvm").exists()} if settings.virt_type == "kvm" else {})


def _pools(settings: AgentSettings) -> dict[str, Folder]:
    """A pool whose storage is not the one that the agent remembers is not mounted."""
    identities = Identities(settings.storage, settings.state_path / "storage", settings.host)
    found = {}
    for name, path in settings.storage.items():
        seen = folder(path)
        try:
            if not seen.problem:
                identities.check(name)
        except MigratorError as error:
            seen = Folder(str(path), error.message)
        found[name] = seen
    return found


def folder(path: Path) -> Folder:
    try:
        mode = path.stat().st_mode
        if not path.is_dir():
            return Folder(str(path), f"{path} is not a folder")
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            return Folder(str(path), f"{path} cannot be written")
        return Folder(str(path), "", shutil.disk_usage(path).free, bool(mode & _OTHERS_WRITE))
    except OSError as error:
        return Folder(str(path), f"{path}: {error.strerror or error}")


def ask_server(settings: AgentSettings, transport: httpx.BaseTransport | None = None) -> Server:
    """Asks for what is to be surveyed, which changes nothing. Raises SettingInvalid."""
    url = settings.server_url
    verify = server_trust.authorities(settings.server_ca)
    headers = {"Authorization": f"Bearer {settings.token}"}
    try:
        with httpx.Client(
            verify=verify, transport=transport, timeout=_SERVER_S, trust_env=False, headers=headers
        ) as client:
            began = time.time()
            answer = client.get(f"{url}/agent/v1/hosts/{settings.host}/questions")
            here = (began + time.time()) / 2
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Server(url, server_trust.distrust(error) or f"{url}: {error}")
    return Server(url, "", answer.status_code, _apart(here, answer.headers.get("Date", "")))


def _apart(here: float, said: str) -> float | None:
    try:
        return here - parsedate_to_datetime(said).timestamp() - 0.5  # it leaves the fraction of a second out
    except ValueError:
        return None
