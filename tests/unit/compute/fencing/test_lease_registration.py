"""The lease is promised before the server is told of it, and withdrawn after."""

import asyncio
from typing import cast

from migrator.compute.agent import lease_registration
from migrator.compute.agent.client import ServerClient
from migrator.compute.fencing.lease import Lease
from migrator.compute.journal import LineJournal, MemoryMedium
from migrator.errors import ServerUnreachable
from migrator.protocol import HostReport
from tests.unit.compute.fencing.fenced_host import LENGTH, Site

REPORT = HostReport(vcpus=1, memory_mb=1024, address="n1", live_migration_uri="qemu+tcp://n1/system")


class Server:
    def __init__(self, lease: Lease) -> None:
        self.lease, self.told = lease, [-1.0]
        self.down = False
        self.length_when_asked = -1.0

    async def register(self, _incarnation: int, report: HostReport) -> None:
        self.length_when_asked = self.lease.length_s
        if self.down:
            raise ServerUnreachable("down")
        self.told.append(report.self_fencing_lease_s)


def register(server: Server) -> None:
    asyncio.run(
        lease_registration.register(cast(ServerClient, server), LineJournal(MemoryMedium([])), REPORT, server.lease)
    )


def withdraw(server: Server, report: HostReport | None = REPORT) -> bool:
    return asyncio.run(lease_registration.withdraw(cast(ServerClient, server), 1, report, server.lease, {}))


def test_it_is_promised_before_it_is_told_and_withdrawn_after(site: Site) -> None:
    server = Server(site.lease())
    register(server)
    assert (server.told[-1], server.length_when_asked) == (LENGTH, LENGTH)
    assert withdraw(server)
    assert (server.told[-1], server.length_when_asked, server.lease.length_s) == (0.0, LENGTH, 0.0)
    site.now += LENGTH + 1
    assert not site.lease().lapsed(), "an agent that was stopped in peace leaves its guests alone"


def test_a_lease_that_cannot_be_withdrawn_stands(site: Site) -> None:
    server = Server(site.lease())
    register(server)
    server.down = True
    assert not withdraw(server)
    server.down = False
    assert not withdraw(server, None)
    site.now += LENGTH + 1
    assert not withdraw(server), "the server may have acted on it"
    assert site.lease().lapsed()
