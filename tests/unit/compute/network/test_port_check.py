"""Whether a process answers at the port of a libvirt URI, and the message where none does."""

import socket

from migrator.compute.network.port_check import probe_port


def test_a_knock_at_an_open_and_at_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe_port(f"qemu+tcp://127.0.0.1:{port}/system") is None
    assert "Connection refused" in (probe_port(f"qemu+tcp://127.0.0.1:{port}/system") or "")
    assert probe_port("qemu:///system") is None
    assert probe_port("qemu+tcp://[broken/system") is not None
