"""Where a webhook may send, by the form of its URL and by the address that the name has."""

import pytest

from migrator.untrusted import receiver


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example/a?b=c", ("https", "hooks.example", 443, "/a?b=c")),
        ("https://[2001:db8::1]:8443", ("https", "2001:db8::1", 8443, "/")),
        ("http://10.0.0.7:80/", ("http", "10.0.0.7", 80, "/")),
    ],
)
def test_the_parts_of_an_address(url: str, expected: tuple[str, str, int, str]) -> None:
    assert receiver.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/",
        "https://user:secret@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://hooks.example/\r\nX-Other: 1",
        "https://hooks .example/",
        "https://[fe80::1%25eth0]/",
        "https:///path",
        "https://hooks.example/" + "a" * 2000,
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected https://HOST"):
        receiver.parse(url)


@pytest.mark.parametrize(
    ("scheme", "address", "networks", "allowed"),
    [
        ("https", "93.184.216.34", (), True),
        ("http", "93.184.216.34", (), False),
        ("http", "93.184.216.34", ("93.184.216.0/24",), True),
        ("https", "127.0.0.1", (), False),
        ("https", "169.254.169.254", (), False),
        ("https", "10.0.0.7", (), False),
        ("https", "10.0.0.7", ("10.0.0.0/24",), True),
        ("http", "10.0.0.7", ("10.0.0.0/24",), True),
        ("https", "10.0.1.7", ("10.0.0.0/24",), False),
        ("https", "::1", (), False),
        ("https", "::ffff:127.0.0.1", (), False),
        ("https", "::ffff:10.0.0.7", ("10.0.0.0/24",), True),
        ("https", "fd00::1", (), False),
        ("https", "224.0.0.1", (), False),
        ("https", "0.0.0.0", (), False),
    ],
)
def test_which_addresses_are_sent_to(scheme: str, address: str, networks: tuple[str, ...], allowed: bool) -> None:
    to = receiver.parse(f"{scheme}://hooks.example/")
    assert (receiver.refusal(to, address, networks) == "") is allowed
