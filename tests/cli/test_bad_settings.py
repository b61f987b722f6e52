"""A setting that nothing can be done with stops the start with one sentence: its name, and what is wrong with it."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from migrator.cli.main import main
from migrator.private_files import check_setting

SERVER: list[tuple[dict[str, Any], str]] = [
    ({"image_dir": "{file}"}, "image_dir = {file}: {file} is not a folder"),
    ({"image_dir": "{file}/below"}, "image_dir = {file}/below: {file} is not a folder"),
    ({"image_dir": "/a\0b"}, "image_dir: it has a character that no text has"),
    ({"database": "sqlite:////a\0b"}, "database: it has a character that no text has"),
    ({"database": "sqlite:///{file}/m.db"}, "there is no folder {file}"),
    ({"agent_listen": "ä..:1"}, "agent_listen = 'ä..:1': expected HOST:PORT"),
    ({"listen": "127.0.0.1:²"}, "listen = '127.0.0.1:²': expected HOST:PORT"),
    ({"listen": "127.0.0.1:65536"}, "expected HOST:PORT"),
    (
        {"agent_url": "cloud.example:8775"},
        "agent_url = 'cloud.example:8775': expected http://HOST:PORT or https://HOST:PORT",
    ),
    ({"agent_tls_cert": "/a\0b", "agent_tls_key": "k", "agent_listen": "127.0.0.1:0"}, "agent_tls_cert: it has a char"),
    ({"service_down_time": "inf"}, "service_down_time = inf: expected 1e+09 at most"),
    ({"sweep_interval": 1e300}, "sweep_interval = 1e+300: expected 1e+09 at most"),
    ({"max_limit": 10**18}, "max_limit = 1000000000000000000: expected 9007199254740992 at most"),
    ({"fence_command": "shoot 'secret"}, "fence_command: No closing quotation"),
    ({"no_such": 1}, "no_such is not a setting"),
]
AGENT: list[tuple[dict[str, Any], str]] = [
    ({"state_path": "{file}"}, "state_path = {file}: {file} is not a folder"),
    ({"storage": {"local": "{file}/below"}}, "storage.local = {file}/below: {file} is not a folder"),
    ({"storage": {"local": "/a\0b"}}, "storage: it has a character that no text has"),
    ({"host": ""}, "host = '': a host's name has 1 to 255 letters"),
    ({"host": "a/b"}, "host = 'a/b': a host's name has 1 to 255 letters"),
    ({"cpu_allocation_ratio": "inf"}, "cpu_allocation_ratio = inf: expected"),
    ({"token": "a b"}, "token: expected the token as it was printed"),
    ({"token": "ö"}, "token: expected the token as it was printed"),
    ({"token": 5}, "token: Input should be a valid string"),
    ({"server_url": "s:8775"}, "server_url = 's:8775': expected http://HOST:PORT"),
    ({"server_url": "https://s:99999"}, "expected http://HOST:PORT"),
    ({"server_url": "https://[s"}, "expected http://HOST:PORT"),
    ({"server_url": "https://s:1/?a"}, "expected http://HOST:PORT"),
    ({"server_url": "https://user@s:1"}, "expected http://HOST:PORT"),
    ({"server_url": "http://s:1", "server_ca": "{file}"}, "server_ca is for TLS"),
    ({"server_url": "https://s:1", "server_ca": "{file}"}, "server_ca = {file}: there is no certificate in it"),
    (
        {"server_url": "https://s:1", "server_ca": "{file}.absent"},
        "server_ca = {file}.absent: No such file",
    ),
]


@pytest.mark.parametrize(
    ("command", "wrong", "why"), [("server", *case) for case in SERVER] + [("agent", *case) for case in AGENT]
)
def test_a_bad_setting_stops_the_start_with_one_sentence(
    command: str, wrong: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    rights: dict[str, dict[str, Any]] = {
        "server": {"database": f"sqlite:///{tmp_path}/m.db", "image_dir": f"{tmp_path}/images"},
        "agent": {"simulated": True, "state_path": f"{tmp_path}/state", "storage": {"local": f"{tmp_path}/local"}},
    }
    right = rights[command]
    config = tmp_path / "config.toml"
    config.write_text("".join(f"{name} = {toml(value, file)}\n" for name, value in (right | wrong).items()))
    assert main([command, "--config", str(config)]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("migrator: ")
    assert why.format(file=file) in said
    assert "\n" not in said
    assert "secret" not in said
    assert {path.name for path in tmp_path.iterdir()} == {"file", "config.toml"}, "nothing was begun"


def toml(value: Any, file: Path) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(inner, file)}" for name, inner in value.items()) + "}"
    return orjson.dumps(value.replace("{file}", str(file)) if isinstance(value, str) else value).decode()


@pytest.mark.parametrize("command", ["server", "agent"])
def test_a_configuration_that_is_no_text_stops_the_start(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(b"\xff\xfe")
    assert main([command, "--config", str(config)]) == 1
    assert f"cannot read the configuration {config}" in capsys.readouterr().err


def test_a_list_in_the_environment_that_is_no_json_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIGRATOR_STORAGE", "/var")
    assert main(["agent"]) == 1
    assert 'error parsing value for field "storage"' in capsys.readouterr().err


def test_storage_that_is_not_mounted_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "pool").symlink_to(tmp_path / "absent")
    check_setting("storage.pool", tmp_path / "pool" / "below")
