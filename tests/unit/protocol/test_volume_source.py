"""A volume's source: one form for one disk, and none that is another disk on each host."""

import pytest

from migrator.errors import BadRequest
from migrator.protocol.volume_source import parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nbd://10.0.0.250/data", "nbd://10.0.0.250:10809/data"),
        ("nbd://Store.Example:10809/data", "nbd://store.example:10809/data"),
        ("nbd://store.example./data", "nbd://store.example:10809/data"),
        ("nbd://[fd00::1]:9/pool/vol-1", "nbd://[fd00::1]:9/pool/vol-1"),
        ("nbd://[FD00:0:0::0001]:9/pool/vol-1", "nbd://[fd00::1]:9/pool/vol-1"),
        ("nbd://[::ffff:10.0.0.250]/data", "nbd://10.0.0.250:10809/data"),
    ],
)
def test_one_form_for_one_disk(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical
    assert str(parse(canonical)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.1/data",
        "rbd://10.0.0.1/data",
        "nbd://10.0.0.1",
        "nbd://10.0.0.1/",
        "nbd://10.0.0.1:0/data",
        "nbd://10.0.0.1:65536/data",
        "nbd://10.0.0.1/-a,b",
        "nbd://10.0.0.1/a b",
        "nbd://user@10.0.0.1/data",
        "nbd://[zz]/data",
        "nbd://10.1/data",
        "nbd://127.1/data",
        "nbd://010.0.0.1/data",
        "nbd://10.0.0x1/data",
        "nbd://167772161/data",
        "nbd://./data",
    ],
)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(BadRequest):
        parse(text)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_what_is_another_machine_for_each_host(host: str) -> None:
    with pytest.raises(BadRequest, match="another machine for each host"):
        parse(f"nbd://{host}/data")
