"""An upload is inspected, bounded, and done once: real images by qemu-img, races between two servers."""

import hashlib
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from migrator.api.image_v2 import upload as image_upload
from migrator.db.engine import Database
from tests.api.harness import Web
from tests.api.test_images import OCTETS, made

MIB = 1024**2


def qcow2(path: Path, *options: str) -> bytes:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "3M"], check=True)
    return path.read_bytes()


def upload(web: Web, ident: str, content: Any) -> Any:
    return web("PUT", f"/image/v2/images/{ident}/file", content=content, headers=OCTETS)


def shown(web: Web, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = web("GET", f"/image/v2/images/{ident}").json()
    return found


def message(answer: Any) -> str:
    return str(next(iter(answer.json().values()))["message"])


def test_the_virtual_size_is_recorded_for_every_format(web: Web, tmp_path: Path) -> None:
    content = {"qcow2": qcow2(tmp_path / "q"), "raw": bytes(1000), "iso": bytes(0x8001) + b"CD001", "aki": b"kernel"}
    sizes = {"qcow2": 3 * MIB}
    for disk_format, data in content.items():
        ident = made(web, disk_format=disk_format)
        assert upload(web, ident, data).status_code == 204
        assert shown(web, ident)["virtual_size"] == sizes.get(disk_format, len(data)), disk_format


def test_content_of_another_format_is_refused_and_leaves_nothing(web: Web, tmp_path: Path) -> None:
    backed = qcow2(tmp_path / "backed", "-b", "/etc/shadow", "-F", "raw", "-u")
    outside = qcow2(tmp_path / "outside", "-o", f"data_file={tmp_path}/data")
    whole = qcow2(tmp_path / "whole")
    refused = [
        ("qcow2", b"hello, world\n" * 100, "its content is none of the formats"),
        ("raw", qcow2(tmp_path / "q"), "said to be raw, but its content is qcow2"),
        ("qcow2", backed, "backing file"),
        ("qcow2", outside, "external data file"),
        ("qcow2", whole[:100] + bytes(4) + whole[104:], "header has 0 bytes"),  # no QEMU opens these two
        ("qcow2", whole[:36] + bytes(4) + whole[40:], "0 entries in its first table"),
    ]
    for disk_format, data, text in refused:
        ident = made(web, disk_format=disk_format)
        answer = upload(web, ident, data)
        assert answer.status_code == 400
        assert text in message(answer)
        assert (shown(web, ident)["status"], list(web.image_dir.iterdir())) == ("queued", [])
    assert upload(web, ident, qcow2(tmp_path / "q")).status_code == 204  # the right content is taken then


def test_a_refusal_in_qemus_words_names_no_path_of_the_server(web: Web, tmp_path: Path) -> None:
    whole = qcow2(tmp_path / "q")
    ident = made(web, disk_format="qcow2")
    answer = upload(web, ident, whole[:60] + bytes([0, 1, 0, 0]) + whole[64:])
    assert answer.status_code == 400
    assert "Could not open '(path)'" in message(answer)
    assert str(tmp_path) not in answer.text
    assert f".{ident}" not in answer.text


def test_formats_are_an_operators_choice(web: Web, db: Database, tmp_path: Path) -> None:
    body = {"name": "x", "disk_format": "vdi", "container_format": "bare"}
    answer = web("POST", "/image/v2/images", json=body)
    assert (answer.status_code, "qcow2, raw, iso (image_formats)" in message(answer)) == (400, True)
    wider = Web(db, tmp_path, image_formats=("vdi",))
    ident = made(wider, disk_format="vdi")
    subprocess.run(["qemu-img", "create", "-q", "-f", "vdi", tmp_path / "vdi", "2M"], check=True)
    assert upload(wider, ident, (tmp_path / "vdi").read_bytes()).status_code == 204
    assert shown(wider, ident)["virtual_size"] == 2 * MIB
    assert wider("POST", "/image/v2/images", json=body | {"disk_format": "qcow2"}).status_code == 400
    assert web("POST", "/image/v2/images", json={"container_format": "docker"}).status_code == 400
    wider.services.db.close()


def test_an_image_larger_than_allowed_is_refused(db: Database, tmp_path: Path) -> None:
    web = Web(db, tmp_path, image_size_cap=MIB)

    def pieces() -> Iterator[bytes]:
        yield from (bytes(MIB // 4) for _ in range(5))

    for content in (bytes(MIB + 1), pieces()):
        ident = made(web)
        answer = upload(web, ident, content)
        assert (answer.status_code, "image_size_cap" in message(answer)) == (413, True)
        assert (shown(web, ident)["status"], list(web.image_dir.glob("*"))) == ("queued", [])
    large = made(web, disk_format="qcow2")
    assert "3145728 bytes; image_size_cap" in message(upload(web, large, qcow2(tmp_path / "q")))
    assert upload(web, made(web), bytes(MIB)).status_code == 204
    web.services.db.close()


def test_an_image_without_formats_takes_no_data(web: Web) -> None:
    ident = web("POST", "/image/v2/images", json={"name": "x"}).json()["id"]
    assert "must be set prior to saving data" in message(upload(web, ident, b"x"))


def test_of_two_uploads_that_race_one_wins_and_the_content_is_its_own(db: Database, tmp_path: Path) -> None:
    """Two servers with one database and one directory."""
    servers = [Web(db, tmp_path), Web(db, tmp_path)]
    for _ in range(15):
        ident = made(servers[0])
        answers: list[tuple[int, bytes]] = []
        start = threading.Barrier(4)

        def send(web: Web, ident: str = ident, answers: Any = answers, start: Any = start) -> None:
            content = os.urandom(200_000)
            start.wait()
            answers.append((upload(web, ident, content).status_code, content))

        threads = [threading.Thread(target=send, args=(servers[number % 2],)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _ in answers) == [204, 409, 409, 409]
        (content,) = (data for status, data in answers if status == 204)
        image = shown(servers[1], ident)
        assert (image["os_hash_value"], image["size"]) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (tmp_path / "images" / ident).read_bytes() == content
    assert not list((tmp_path / "images").glob(".*"))
    for web in servers:
        web.services.db.close()


def test_an_image_deleted_during_its_upload_stays_deleted(web: Web) -> None:
    ident = made(web)

    def pieces() -> Iterator[bytes]:
        yield b"first"
        web("DELETE", f"/image/v2/images/{ident}")
        yield b"second"

    assert upload(web, ident, pieces()).status_code == 404
    assert list(web.image_dir.iterdir()) == []


def test_what_a_killed_server_left_is_removed_and_an_upload_under_way_is_not(web: Web) -> None:
    ident = made(web)
    abandoned = web.image_dir / f".{uuid.uuid4()}.0123456789abcdef"

    def pieces() -> Iterator[bytes]:
        yield b"first"
        abandoned.write_bytes(b"half")
        for part in web.image_dir.glob(".*"):
            os.utime(part, (time.time() - 3600,) * 2)
        image_upload.tidy(web.services)
        assert not abandoned.exists()
        yield b"second"

    assert upload(web, ident, pieces()).status_code == 204
    assert [path.name for path in web.image_dir.iterdir()] == [ident]
    assert (web.image_dir / ident).read_bytes() == b"firstsecond"


def test_a_virtual_size_that_an_older_release_left_out_is_found_at_the_start(web: Web, tmp_path: Path) -> None:
    from migrator.db import images as rows

    ident = made(web, disk_format="qcow2")
    upload(web, ident, qcow2(tmp_path / "q"))
    with web.db.write() as connection:
        rows.change(connection, ident, {"virtual_size": None})
    image_upload.tidy(web.services)
    assert shown(web, ident)["virtual_size"] == 3 * MIB


def test_a_kernel_is_no_disk_to_boot_from(web: Web) -> None:
    ident = made(web, disk_format="aki", container_format="aki")
    upload(web, ident, b"kernel")
    flavor = {"flavor": {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}}
    assert web("POST", "/v2.1/flavors", json=flavor).status_code == 200
    server = {"server": {"name": "x", "flavorRef": "f", "imageRef": ident, "networks": "none"}}
    answer = web("POST", "/v2.1/servers", json=server)
    assert (answer.status_code, "is no disk to boot from" in message(answer)) == (400, True)
