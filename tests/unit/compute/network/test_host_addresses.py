"""Which addresses a host has, as its kernel says."""

from migrator.compute.network.host_addresses import host_addresses, ipv4, ipv6

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.0
           /24 link UNICAST
        |-- 10.0.0.7
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
"""


def test_addresses_are_read_from_the_kernel() -> None:
    assert ipv4(FIB) == {"10.0.0.7", "127.0.0.1"}
    assert ipv6("fe800000000000000000000000000001 02 40 20 80 eth0\n") == {"fe80::1"}
    assert all(not address.startswith("127.") for address in host_addresses())
