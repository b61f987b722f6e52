"""The real driver's part that says which domains there are, in which state, and who touched them last.

Asks libvirt, and the disk for saved memory. Never makes, starts or stops a domain.
"""

from collections.abc import Sequence
from typing import Any

from migrator.compute.libvirt.bindings import connections, domains
from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.compute.storage.file_driver import HostFiles
from migrator.errors import DriverError
from migrator.protocol import FAILED, DomainEntry, DomainFact, DomainState, Leftover


class LibvirtDomainFacts(HostFiles):
    """``_control``: a connection for short calls."""

    _control: Reconnecting[Any]

    def list_copies(self, *, live: bool = False) -> Sequence[DomainEntry]:
        def read(connection: Any) -> list[DomainEntry]:
            copies = []
            for domain in domains.ours(connection):
                with connections.ignore_missing_domain():  # gone since it was listed
                    domains.disable_autostart(domain)
                    copies.append(self._copy(domain))
            return copies

        def list_live(connection: Any) -> list[DomainEntry]:
            return [DomainEntry(uuid=domain.UUIDString(), state=state) for domain, state in domains.live(connection)]

        return self._control.call(list_live if live else read)

    def tidy(self) -> Sequence[Leftover]:
        return self._tidy({copy.uuid for copy in self.list_copies()})

    def domain(self, uuid: str) -> DomainFact:
        def read(connection: Any) -> DomainFact:
            with connections.ignore_missing_domain():
                domain = connection.lookupByUUIDString(uuid)
                state, reason = self._state(domain)
                stamp = domains.stamp(domain)
                return DomainFact(
                    state=state,
                    reason=reason,
                    stamp_operation=stamp.operation_id if stamp else None,
                    stamp_epoch=stamp.epoch if stamp else None,
                    persistent=bool(domain.isPersistent()),
                )
            return DomainFact(state=DomainState.ABSENT)

        return self._control.call(read)

    def _copy(self, domain: Any) -> DomainEntry:
        """With its stamp, unless that was overwritten: one such domain hides no other."""
        state, reason = self._state(domain)
        copy = DomainEntry(
            uuid=domain.UUIDString(), state=state, failed=state is DomainState.SHUT_OFF and reason in FAILED
        )
        try:
            stamp = domains.stamp(domain)
        except DriverError:
            return copy
        if stamp is None or not stamp.sound:
            return copy
        said = {"stamp_operation": stamp.operation_id, "stamp_epoch": stamp.epoch, "seal": stamp.seal}
        return copy.model_copy(update=said)

    def _state(self, domain: Any) -> tuple[DomainState, str | None]:
        state, reason = domains.state(domain)
        if state is DomainState.SHUT_OFF and self._memory.find(domain.UUIDString()) is not None:
            state = DomainState.SAVED
        return state, reason
