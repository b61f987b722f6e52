"""The service that starts guests without asking: found where it is enabled, by its settings or the script's own."""

from pathlib import Path

import pytest

from migrator.compute.libvirt.guests_service import warnings

SETTINGS = "etc/default/libvirt-guests"
DEBIAN = 'URIS=default\nON_BOOT="ignore"\nON_SHUTDOWN="shutdown"\nif [ "x$ON_BOOT" != xstart ]; then\n'


def host(root: Path, settings: str = "", script: str = "", *, enabled: bool = True) -> Path:
    files = {SETTINGS: settings, "usr/lib/libvirt/libvirt-guests.sh": script}
    if enabled:
        files["etc/systemd/system/multi-user.target.wants/libvirt-guests.service"] = "[Unit]"
    for name, text in files.items():
        if text:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def test_one_that_is_not_enabled_does_nothing(tmp_path: Path) -> None:
    assert warnings(host(tmp_path, "ON_BOOT=start", enabled=False)) == ()


@pytest.mark.parametrize(
    ("settings", "script", "named"),
    [
        ("", DEBIAN, []),
        ("#ON_BOOT=start\n# ON_SHUTDOWN=suspend\n", DEBIAN, []),
        ("ON_BOOT=start\n", DEBIAN, ["ON_BOOT"]),
        (" ON_BOOT='start'\nON_BOOT=ignore\n", DEBIAN, []),
        ("ON_BOOT=ignore\nON_SHUTDOWN=suspend\n", DEBIAN, ["ON_SHUTDOWN"]),
        ("", 'ON_BOOT="start"\nON_SHUTDOWN="suspend"\n', ["ON_BOOT", "ON_SHUTDOWN"]),
        ("ON_BOOT=ignore\nON_SHUTDOWN=shutdown\n", "", []),
        ("", "", ["ON_BOOT", "ON_SHUTDOWN"]),
    ],
)
def test_what_harms_is_named_with_what_to_set(tmp_path: Path, settings: str, script: str, named: list[str]) -> None:
    found = warnings(host(tmp_path, settings, script))
    assert [message.split("enabled with ")[1].split("=")[0] for message in found] == named
    assert all(": set " in message for message in found)
