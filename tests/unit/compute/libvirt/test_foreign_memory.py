"""Which live domains count as foreign. libvirt is faked: in no real one a domain appears between two answers."""

from typing import Any

import libvirt

from migrator.compute.libvirt.bindings import domains, hosts

GIB_IN_KIB = 1 << 20
OWN = "<migrator:instance xmlns:migrator='urn:migrator'/>"


class Domain:
    def __init__(self, uuid: str, own: bool) -> None:
        self.uuid, self.own = uuid, own

    def UUIDString(self) -> str:  # noqa: N802
        return self.uuid

    def info(self) -> list[int]:
        return [libvirt.VIR_DOMAIN_RUNNING, GIB_IN_KIB]

    def metadata(self, _kind: int, _namespace: str) -> str:
        if self.own:
            return OWN
        error = libvirt.libvirtError("no metadata")
        error.err = (libvirt.VIR_ERR_NO_DOMAIN_METADATA, 0, "no metadata", 0, "", None, None, 0, 0)
        raise error


class Arriving:
    """A guest of migrator's arrives after the first listing, as an incoming live migration does."""

    def __init__(self) -> None:
        self.listed = [Domain("stranger", own=False), Domain("own", own=True)]

    def listAllDomains(self, _flags: int = 0) -> list[Any]:  # noqa: N802
        found = list(self.listed)
        self.listed.append(Domain("arrived", own=True))
        return found


def test_a_guest_that_arrives_between_two_looks_is_no_stranger() -> None:
    connection = Arriving()
    for _look in range(3):
        assert hosts.memory_allocated_mb(connection, besides=domains.is_ours) == 1024


def test_memory_given_counts_own_and_foreign_domains() -> None:
    assert hosts.memory_allocated_mb(Arriving()) == 2048
