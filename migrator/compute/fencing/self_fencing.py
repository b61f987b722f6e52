"""Stops every guest of this host when its lease lapses, again and again until none runs.

Owns a thread that needs neither the event loop nor the network nor the agent's other threads, and the watchdog that
stands behind it: should this thread die or hang (libvirtd does not answer), no keepalive comes and the host resets
itself. Never deletes or undefines anything.
"""

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, cast

from migrator.compute.driver import Driver
from migrator.compute.fencing.lease import Lease
from migrator.compute.fencing.watchdog import Watchdog
from migrator.errors import HypervisorUnavailable, MigratorError
from migrator.protocol import DomainState, InstanceSpec
from migrator.settings import AgentSettings

log = logging.getLogger("migrator.agent")

_TICK_S = 1.0
_DESTROY_S = 5.0  # for one round of them; one that takes longer is not begun twice
_AT_ONCE = 8
_LIVE = frozenset({DomainState.RUNNING, DomainState.PAUSED, DomainState.INCOMING})
_CUT = _LIVE | {DomainState.CRASHED}  # may still have a process


class LeaseLapsed(HypervisorUnavailable):
    code = "lease_lapsed"


class SelfFencing:
    """``begin``, then ``end``. What the agent tells the server about the lease goes through ``lease``."""

    def __init__(self, lease: Lease, driver: Driver, watchdog: Path | None, tags: dict[str, Any] | None = None) -> None:
        self.lease = lease
        self._driver = driver
        self._path = watchdog
        self._watchdog: Watchdog | None = None
        self._tags = tags or {}
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="self-fencing")
        self._cutting: dict[str, Future[None]] = {}

    def begin(self, patience_s: float) -> None:
        """Start watching, and wait for the first look: guests whose lease lapsed while no agent ran are stopped before
        the server hears of this one. ``patience_s``: for a hypervisor that does not answer. Nothing is begun where
        nothing was promised. Raises SettingInvalid for a watchdog that cannot be opened."""
        if not self.lease.wanted_s and not self.lease.length_s:
            return
        if self._path is not None:
            self._watchdog = Watchdog(self._path)
        else:
            log.warning(
                "self_fencing_lease without watchdog_device: if this agent dies and nothing starts it again, nothing "
                "stops the guests, and the server starts them elsewhere all the same",
                extra=self._tags,
            )
        self._thread = threading.Thread(target=self._keep, name="self-fencing", daemon=True)
        self._thread.start()
        self._looked.wait(patience_s)

    def end(self, *, withdrawn: bool) -> None:
        """Stop watching. ``withdrawn``: the server does not count with the lease any more; without that the watchdog
        stays armed, for the promise stands and no thread is left to keep it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_TICK_S)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._watchdog is not None:
            self._watchdog.close(disarm=withdrawn)
        if self._thread is not None and not withdrawn:
            log.error(
                "the agent ends, but the server still counts with this host's self-fencing lease: start it again "
                "before %g s have passed",
                self.lease.length_s,
                extra=self._tags,
            )

    def tick(self) -> None:
        """One look: stop what must not run, and tell the watchdog if all is well."""
        if self.lease.lapsed():
            if self._stop_guests():
                return
            self.lease.stopped()
        if self._watchdog is not None:
            self._watchdog.keepalive()

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self.tick()
            except MigratorError as error:
                log.error("the lease has lapsed, and guests cannot be stopped: %s", error, extra=self._tags)
            except Exception:  # a defect here must not end the watch
                log.exception("the lease could not be looked after", extra=self._tags)
            self._looked.set()
            self._stop.wait(_TICK_S)

    def _stop_guests(self) -> bool:
        """Cut the power of every guest of ours, incoming ones too; whether any is left."""
        found = self._live(_CUT)
        for uuid in found:
            if uuid not in self._cutting:
                log.critical("the self-fencing lease has lapsed: stopping instance %s", uuid, extra=self._tags)
                self._cutting[uuid] = self._threads.submit(self._driver.destroy, uuid)
        wait(list(self._cutting.values()), timeout=_DESTROY_S)
        for uuid in [uuid for uuid, cut in self._cutting.items() if cut.done()]:
            error = self._cutting.pop(uuid).exception()
            if error is not None:
                log.error("instance %s could not be stopped: %s", uuid, error, extra=self._tags)
        left = self._live(_LIVE) if found else []
        if found and not left:
            log.critical("the self-fencing lease has lapsed: nothing runs here any more", extra=self._tags)
        return bool(left)

    def _live(self, states: frozenset[DomainState]) -> list[str]:
        return [copy.uuid for copy in self._driver.list_copies(live=True) if copy.state in states]


class _Leased:
    """A driver that starts nothing while the lease has lapsed, however long the caller's way to the start was."""

    def __init__(self, driver: Driver, lease: Lease) -> None:
        self._driver = driver
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def define_and_start(
        self, spec: InstanceSpec, operation_id: str, epoch: int, machine: str = "", seal: str = ""
    ) -> None:
        self._check()
        self._driver.define_and_start(spec, operation_id, epoch, machine, seal)

    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:
        self._check()
        self._driver.restore_memory(spec, operation_id, epoch, seal)

    def _check(self) -> None:
        if self._lease.lapsed():
            raise LeaseLapsed("the self-fencing lease has lapsed: nothing is started before the server is heard again")


def leased(driver: Driver, lease: Lease) -> Driver:
    return cast(Driver, _Leased(driver, lease))


def of_host(settings: AgentSettings, driver: Driver, path: Path | None) -> tuple[Driver, SelfFencing]:
    """The driver to work with, and what guards it. ``path``: the lease's file; None keeps it in memory."""
    lease = Lease(path, settings.self_fencing_lease, host=settings.host)
    return leased(driver, lease), SelfFencing(lease, driver, settings.watchdog_device, {"host": settings.host})
