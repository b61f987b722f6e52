"""A domain of libvirt's: what it is, and its life. Its moves are ``jobs``."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import libvirt

from migrator.compute.libvirt.bindings import constants
from migrator.compute.libvirt.bindings.connections import ignore_missing_domain, unless
from migrator.compute.libvirt.bindings.jobs import receiving
from migrator.compute.libvirt.xml.stamp import NAMESPACE, PREFIX, Stamp, read_stamp, stamp_xml
from migrator.protocol import DomainState

_STATES = {getattr(libvirt, f"VIR_DOMAIN_{name}"): state for name, state in constants.STATES.items()}
_REASONS = {
    getattr(libvirt, f"VIR_DOMAIN_{state}"): {
        getattr(libvirt, f"VIR_DOMAIN_{state}_{name}"): reason for name, reason in reasons.items()
    }
    for state, reasons in constants.REASONS.items()
}

_FORGET = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def ours(connection: Any, flags: int = 0) -> Iterator[Any]:
    """Every domain that migrator made."""
    for domain in connection.listAllDomains(flags):
        with ignore_missing_domain():  # gone since it was listed
            if is_ours(domain):
                yield domain


def is_ours(domain: Any) -> bool:
    """Whether migrator made the domain."""
    return _metadata(domain) is not None


def live(connection: Any) -> Iterator[tuple[Any, DomainState]]:
    """Those of ours that have a process, without a word to it."""
    for domain in ours(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with ignore_missing_domain():
            yield domain, _STATES.get(domain.state()[0], DomainState.RUNNING)


def use(connection: Any) -> dict[str, tuple[float, float, int]]:
    """Of every domain that has a process, by UUID: processor seconds that it used, those that its virtual CPUs waited
    for, and MiB that its process holds. Asks emulators that are not busy with another request; may last as long as one
    of them hangs."""
    wanted = libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU
    flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    found = {}
    for domain, told in connection.getAllDomainStats(wanted, flags):
        if "cpu.time" not in told:  # it is gone, or has no control group
            continue
        waited_ns = sum(value for name, value in told.items() if name.startswith("vcpu.") and name.endswith(".delay"))
        held_kib = told.get("balloon.rss", told.get("balloon.current", 0))
        found[domain.UUIDString()] = told["cpu.time"] / 1e9, waited_ns / 1e9, held_kib // 1024
    return found


def _metadata(domain: Any) -> str | None:
    """Migrator's element in the domain's metadata; None in a domain that is not ours."""
    with unless(libvirt.VIR_ERR_NO_DOMAIN_METADATA):
        return str(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
    return None


def stamp(domain: Any) -> Stamp | None:
    """Who touched it last; None for one that is not ours."""
    element = _metadata(domain)
    return None if element is None else read_stamp(element)


def state(domain: Any) -> tuple[DomainState, str | None]:
    """Its state, and libvirt's reason in words."""
    number, code = domain.state()
    state, reason = _STATES[number], _REASONS.get(number, {}).get(code)
    if state is DomainState.PAUSED and reason in ("migration", "starting-up") and receiving(domain):
        state = DomainState.INCOMING
    return state, reason


def write_stamp(domain: Any, stamp: Stamp) -> None:
    """Stamp it, in what runs and in what is kept."""
    flags = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.isActive() else 0
    flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG if domain.isPersistent() else 0
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, stamp_xml(stamp), PREFIX, NAMESPACE, flags)


def disable_autostart(domain: Any) -> None:
    """Not even when its host starts: what may run there is not libvirt's to know. Where libvirt refuses that, the
    domain is still to be seen and to be stopped."""
    with contextlib.suppress(libvirt.libvirtError):
        if domain.isPersistent() and domain.autostart():
            domain.setAutostart(0)


def start(domain: Any) -> None:
    """Run it, from its disks; no-op when it runs."""
    try:
        domain.create()
    except libvirt.libvirtError:
        if not domain.isActive():  # else another caller was faster
            raise


def pause(domain: Any) -> None:
    """Stop its CPUs."""
    domain.suspend()


def unpause(domain: Any) -> None:
    """Let its CPUs go on."""
    domain.resume()


def shut_down(domain: Any) -> None:
    """Ask the guest to stop; no-op unless it has a process."""
    _while_active(domain, domain.shutdown)


def destroy(domain: Any) -> None:
    """Cut its power; no-op unless it has a process."""
    _while_active(domain, domain.destroy)


def _while_active(domain: Any, act: Callable[[], Any]) -> None:
    if not domain.isActive():
        return
    # The guest may stop during the call. libvirt then says "domain is not running", and for a moment may still call it
    # active, so its answer to the call is what counts.
    with unless(libvirt.VIR_ERR_OPERATION_INVALID):
        act()


def forget(domain: Any) -> None:
    """Undefine it, whatever libvirt keeps for it."""
    domain.undefineFlags(_FORGET)


def save(domain: Any, path: str) -> None:
    """Write its memory to ``path`` and end its process; restored, it runs."""
    domain.saveFlags(path, None, libvirt.VIR_DOMAIN_SAVE_RUNNING)


def saved_xml(connection: Any, path: str) -> str:
    """The domain in a saved memory, passwords included."""
    return str(connection.saveImageGetXMLDesc(path, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))


def restore(connection: Any, path: str, xml: str) -> None:
    """Run the domain on from its saved memory, as ``xml`` says."""
    connection.restoreFlags(path, xml, libvirt.VIR_DOMAIN_SAVE_RUNNING)


def migratable_xml(domain: Any, *, secure: bool = False, inactive: bool = False) -> str:
    """The domain as another host understands it; ``secure``: passwords included; ``inactive``: as it starts next."""
    flags = libvirt.VIR_DOMAIN_XML_MIGRATABLE
    flags |= libvirt.VIR_DOMAIN_XML_SECURE if secure else 0
    flags |= libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
    return str(domain.XMLDesc(flags))
