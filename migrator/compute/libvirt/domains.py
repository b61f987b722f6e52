"""The real driver's part for the domain of one instance: found by the instance's UUID, stamped, stopped and forgotten.

Never makes or starts one: that takes the host's files.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from migrator.compute.libvirt.bindings import connections, domains, jobs
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.libvirt.xml.stamp import Stamp
from migrator.errors import DriverError
from migrator.private_files import sync
from migrator.protocol import MAY_GO_ON, DomainState

T = TypeVar("T")
DEFINITIONS = Path("/etc/libvirt/qemu")  # where libvirt's QEMU driver keeps those of persistent domains


class LibvirtDomains:
    """``_control``: a connection for short calls."""

    _control: Reconnecting[Any]

    def stamp(self, uuid: str, operation_id: str, epoch: int, seal: str = "") -> None:
        def write(connection: Any) -> None:
            domain = connection.lookupByUUIDString(uuid)
            old = domains.stamp(domain)
            new = Stamp(old.name if old else uuid, operation_id, epoch, seal)
            if new == old:
                return  # also spares a call that would wait for an active job
            # The statistics kept so far are another operation's; asking for them this way lets go of them.
            jobs.ended_job(domain, keep=False)
            domains.write_stamp(domain, new)

        self._control.call(write)

    def pause(self, uuid: str) -> None:
        def stop_cpus(domain: Any) -> None:
            state, reason = domains.state(domain)
            if state is DomainState.PAUSED and reason in MAY_GO_ON:
                return
            if state is not DomainState.RUNNING or jobs.active_job(domain) is not None:
                raise DriverError(f"the domain {uuid} is {state}, or is being moved: it is not paused")
            domains.pause(domain)

        self._with_domain(uuid, stop_cpus)

    def unpause(self, uuid: str) -> None:
        def resume(domain: Any) -> None:
            state, reason = domains.state(domain)
            if state is DomainState.RUNNING:
                return
            if state is not DomainState.PAUSED or reason not in MAY_GO_ON:
                raise DriverError(f"the domain {uuid} is {state} ({reason}): it is left alone")
            domains.unpause(domain)

        self._with_domain(uuid, resume)

    def shut_down(self, uuid: str) -> None:
        self._unless_absent(uuid, domains.shut_down)

    def destroy(self, uuid: str) -> None:
        self._unless_absent(uuid, domains.destroy)

    def undefine(self, uuid: str) -> None:
        def forget(domain: Any) -> None:
            if domain.isActive():
                raise DriverError(f"the domain {uuid} is alive; only one that is not can be forgotten")
            domains.forget(domain)

        self._unless_absent(uuid, forget)
        # libvirt unlinks a definition and does not sync that: after a power cut the domain would be back. So it does
        # when a transfer has taken the guest along, which is why this is done where there is no domain any more, too.
        with contextlib.suppress(OSError):  # a libvirtd that keeps its definitions elsewhere
            sync(DEFINITIONS)

    def _with_domain(self, uuid: str, act: Callable[[Any], T]) -> T:
        return self._control.call(lambda connection: act(connection.lookupByUUIDString(uuid)))

    def _unless_absent(self, uuid: str, act: Callable[[Any], None]) -> None:
        def try_it(connection: Any) -> None:
            with connections.ignore_missing_domain():
                act(connection.lookupByUUIDString(uuid))

        self._control.call(try_it)
