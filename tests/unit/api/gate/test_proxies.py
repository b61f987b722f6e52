"""Whose word about a request's sender is believed."""

import pytest

from migrator.api.gate.proxies import Proxies

PROXIES = Proxies(["127.0.0.1/32", "10.0.0.0/24", "fd00::/64"])


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        # the connection's    X-Forwarded-For              who sent it
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("192.0.2.1", ["192.0.2.7"], "192.0.2.1"),
        ("127.0.0.1", ["1.1.1.1, 192.0.2.7, 10.0.0.9"], "192.0.2.7"),
        ("127.0.0.1", ["1.1.1.1", "192.0.2.7"], "192.0.2.7"),
        ("127.0.0.1", ["192.0.2.7, nonsense"], "127.0.0.1"),
        ("127.0.0.1", ["\x1b[2J"], "127.0.0.1"),
        ("::ffff:10.0.0.4", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::5", ["fd00::6"], "fd00::6"),
        ("testclient", ["192.0.2.7"], "testclient"),
    ],
)
def test_the_sender_is_the_last_address_that_no_proxy_of_ours_has(peer: str, said: list[str], client: str) -> None:
    assert PROXIES.client(peer, [(b"X-Forwarded-For", value.encode("latin-1")) for value in said]) == client


def test_what_others_say_of_a_proxy_is_dropped() -> None:
    headers = [(b"x-forwarded-host", b"evil.example"), (b"Forwarded", b"host=evil"), (b"host", b"cloud.example")]
    assert PROXIES.believed("10.0.0.1", headers) == headers
    assert PROXIES.believed("10.0.1.1", headers) == [(b"host", b"cloud.example")]
