"""A host joins: a join token becomes a credential, and what is found here a configuration.

Owns the request, the text of the file and how it comes to the disk. A file that is there is never written over unless
that was asked for, and the join token is not used before the file can be written. Changes nothing else of this host.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from migrator import private_files
from migrator.compute.agent import server_trust
from migrator.errors import Conflict, MigratorError, ServerUnreachable, SettingInvalid, Unauthorized
from migrator.protocol import Joined

_ANSWER_S = 15.0
_BRIDGES = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Found:
    """On this host. ``address``: at which other hosts reach it; "" where only this machine does."""

    address: str
    bridges: tuple[str, ...]
    kvm: bool


def bridges(folder: Path = _BRIDGES) -> tuple[str, ...]:
    """Names of the bridges that this host has."""
    return tuple(sorted(found.parent.name for found in folder.glob("*/bridge")))


class ConfigFile:
    """The agent's configuration, as it is being made: ``write`` puts it in place whole."""

    def __init__(self, path: Path, *, force: bool) -> None:
        """Raises Conflict where there is one, SettingInvalid where none can be written."""
        if path.exists() and not force:
            raise Conflict(
                f"{path} is there: this host has a configuration",
                advice="start its agent; or say --force to have that file replaced",
            )
        self._path, self._new = path, path.with_name(f"{path.name}.new")
        try:
            private_files.make_folder(path.parent)
            private_files.write_text(self._new, "")
        except OSError as error:
            raise SettingInvalid(f"{self._new} cannot be written: {error.strerror or error}") from error

    def write(self, text: str) -> None:
        """Raises SettingInvalid where the disk fails: the credential in it is lost."""
        try:
            private_files.write_text(self._new, text)
            private_files.sync(self._new)
            os.replace(self._new, self._path)
            private_files.sync(self._path.parent)
        except OSError as error:
            raise SettingInvalid(
                f"{self._path} cannot be written: {error.strerror or error}",
                advice="mend that, and invite the host again: `migrator host-join HOST --replace`",
            ) from error

    def give_up(self) -> None:
        self._new.unlink(missing_ok=True)


def take(url: str, join_token: str, ca: Path | None, transport: httpx.BaseTransport | None = None) -> Joined:
    """What the server gives for the join token. Raises Unauthorized, ServerUnreachable, SettingInvalid."""
    headers = {"Authorization": f"Bearer {join_token}"}
    verify = server_trust.authorities(ca)
    try:
        with httpx.Client(verify=verify, transport=transport, timeout=_ANSWER_S, trust_env=False) as client:
            answer = client.post(f"{url.rstrip('/')}/agent/v1/join", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerUnreachable(server_trust.distrust(error) or f"{url}: {error}") from error
    if answer.status_code == 200:
        return _read(url, answer)
    raise _refusal(url, answer)


def _read(url: str, answer: httpx.Response) -> Joined:
    try:
        return Joined.model_validate_json(answer.content)
    except ValueError as error:
        raise ServerUnreachable(f"{url}: the answer makes no sense: it is no migrator server's") from error


def _refusal(url: str, answer: httpx.Response) -> MigratorError:
    try:
        told = answer.json()["error"]
        message, advice = str(told["message"])[:300], str(told.get("advice") or "")[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        message, advice = (
            f"it answered {answer.status_code}",
            "name the server's agent_listen, as `host-join` prints it",
        )
    kind = Unauthorized if answer.status_code == 401 else ServerUnreachable
    return kind(f"{url}: {message}", advice=advice)


def configuration(url: str, ca: Path | None, joined: Joined, found: Found) -> str:
    """The file's text, in TOML."""
    told: dict[str, Any] = {"server_url": url, "host": joined.host, "token": joined.token}
    told |= {"server_ca": str(ca)} if ca is not None else {}
    told |= {"live_migration_inbound_addr": found.address} if found.address else {}
    told |= {} if found.kvm else {"virt_type": "qemu"}
    names = ", ".join(found.bridges) or "none"
    return (
        "# By `migrator agent-join`. docs/settings.md has every setting.\n"
        + _lines(told)
        + ("" if found.kvm else "# This machine has no /dev/kvm: guests are emulated, which is slow.\n")
        + f"# Bridges of this host: {names}. For guests on a network of `migrator network-list`:\n"
        + '#networks = { NAME = "BRIDGE" }\n'
    )


def _lines(told: Mapping[str, Any]) -> str:
    """A JSON string is a basic string of TOML, too."""
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in told.items())
