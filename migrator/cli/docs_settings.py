"""Draws ``docs/settings.md`` and the example configurations in ``packaging`` from the settings and their comments.

Owns the examples of settings that have no default. What a setting means stands in ``settings.py``.
"""

import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from migrator.cli.settings_reader import Setting, settings_of
from migrator.settings import AgentSettings, ServerSettings

KINDS: Mapping[str, type[BaseModel]] = {"server": ServerSettings, "agent": AgentSettings}
# What the units' folders and hosts need; everything else is a comment.
_SET: Mapping[str, Mapping[str, Any]] = {
    "server": {
        "database": "sqlite:////var/lib/migrator-server/migrator.db",
        "image_dir": "/var/lib/migrator-server/images",
    },
    "agent": {},
}
_EXAMPLES: Mapping[str, Any] = {
    "agent_listen": "10.0.0.1:8775",
    "agent_url": "https://cloud.example:8775",
    "agent_tls_cert": "/etc/migrator/server-cert.pem",
    "agent_tls_key": "/etc/migrator/server-key.pem",
    "tls_cert": "/etc/migrator/api-cert.pem",
    "tls_key": "/etc/migrator/api-key.pem",
    "keystone_cafile": "/etc/migrator/keystone-ca.pem",
    "webhook_cafile": "/etc/migrator/webhook-ca.pem",
    "policy_file": "/etc/migrator/policy.yaml",
    "server_ca": "/etc/migrator/ca.pem",
    "host": "n1",
    "machine_type": "pc",
    "watchdog_device": "/dev/watchdog",
}
_WIDTH = 100
_HEAD = """# Settings

Generated from `migrator/settings.py` by `script/docs`; do not edit. A setting is a line of the TOML file (`--config` or
`MIGRATOR_CONFIG`), or `MIGRATOR_<NAME>` in the environment, which wins; lists and tables are JSON there. `-`: it is
not set. Times are in seconds (s). `packaging/server.toml` and `packaging/agent.toml` have all of them as comments.
"""


def settings_page() -> str:
    return "\n".join([_HEAD, *(line for name, kind in KINDS.items() for line in _table(name, kind))])


def example(name: str) -> str:
    """The example configuration of the server, or the agent."""
    head = f"# The {name}'s configuration, generated from migrator/settings.py by script/docs. A line that is a comment"
    lines = [f"{head}\n# shows the default, or after (example) how it is set.\n"]
    for setting in settings_of(KINDS[name]):
        lines += [f"# {line}" for line in textwrap.wrap(_about(setting), _WIDTH)]
        if setting.name in _SET[name]:
            lines.append(f"{setting.name} = {toml(_SET[name][setting.name])}\n")
            continue
        if setting.default is None:
            lines.append("# (example)")
        value = _EXAMPLES[setting.name] if setting.default is None else setting.default
        lines.append(f"#{setting.name} = {toml(value)}\n")
    return "\n".join(lines)


def write(root: Path) -> None:
    (root / "docs/settings.md").write_text(settings_page())
    for name in KINDS:
        (root / f"packaging/{name}.toml").write_text(example(name))


def toml(value: Any) -> str:
    """A value as TOML has it. Strings and numbers are JSON's, of which TOML's are a superset."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {toml(one)}" for name, one in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _about(setting: Setting) -> str:
    return f"{setting.about}{f' ({setting.expected})' if setting.expected else ''}"


def _table(name: str, kind: type[BaseModel]) -> Iterable[str]:
    yield f"## Of the {name}\n"
    yield "| setting | default | values | is |"
    yield "| --- | --- | --- | --- |"
    for setting in settings_of(kind):
        default = "-" if setting.default is None else f"`{toml(setting.default)}`"
        yield f"| `{setting.name}` | {default} | {setting.expected or '-'} | {setting.about} |"
    yield ""
