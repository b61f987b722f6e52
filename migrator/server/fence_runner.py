"""Runs the operator's fence command for hosts that are silent while an evacuation waits for evidence, or that the
servers are to recover on their own.

Owns the command's process: its arguments, its time, its end. Runs in threads of its own beside the sweep and never
decides what a success means (``scheduler/state/fencing.py``) nor what follows from it (``decide``). The database says
whose turn it is, so that of several servers one at a time runs the command for a host.
"""

import logging
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

from migrator.api.process.services import Services
from migrator.db import events, fencing, hosts
from migrator.errors import MigratorError
from migrator.event_types import EventType
from migrator.log_limits import log_failure
from migrator.operations import OPERATIONS
from migrator.scheduler.fleet import recovery
from migrator.scheduler.state.fencing import evidence

log = logging.getLogger(__name__)

PHASES = frozenset(
    (op.kind.value, phase.name) for op in OPERATIONS.values() for phase in op.phases if phase.fencing_evidence_suffices
)
_AT_ONCE = 8  # hosts that are fenced beside each other
_LOOK_S = 0.1
_STALE_S = 30.0  # beyond fence_timeout: the server that began this run is gone
_AGAIN_S = 60.0  # between two runs for a host that is lost, of which the first failed
_TAIL_BYTES = 4096
_TAIL_LINES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """``words``: the last line of a success's output; exit code and last lines of a failure."""

    ok: bool
    message: str


class FenceRunner:
    """``keep`` until ``stop`` is set, in a thread; ``look`` once, for a caller that waits for it."""

    def __init__(self, services: Services, stop: threading.Event) -> None:
        self._db, self._settings, self._reconciler = services.db, services.settings, services.reconciler
        self._stop = stop
        self._by = socket.gethostname()
        self._lock = threading.Lock()
        self._running: set[str] = set()  # hosts that this process is at
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fence")

    def run(self) -> None:
        """Look once each sweep_interval; a command that takes long keeps no other host waiting."""
        while not self._stop.wait(self._settings.sweep_interval):
            try:
                for host in self._wanting():
                    if self._take(host):
                        self._threads.submit(self._fence, host)
            except Exception as error:
                log_failure(log, error, "hosts to fence could not be looked for; it is tried again")
        self._threads.shutdown(wait=True, cancel_futures=True)

    def check_hosts(self) -> None:
        """Fence every host that wants it, one after another, and return when that is done."""
        for host in self._wanting():
            if self._take(host):
                self._fence(host)

    def _wanting(self) -> Sequence[str]:
        if not self._settings.fence_command:
            return ()
        with self._db.read() as connection:
            waiting, lost = (
                fencing.waiting_operations(connection, PHASES),
                recovery.to_fence(connection, self._settings),
            )
            rows = hosts.by_names(connection, {*waiting, *lost})
        return [row.name for row in rows if self._needed(row, waiting.get(row.name, ()), lost)]

    def _needed(self, row: Any, operations: Sequence[Any], lost: Sequence[str]) -> bool:
        """Silent, without evidence, and for some operation not tried in vain since it began to wait; or ``lost``, and
        not tried in vain a moment ago."""
        # A host is not to be shot because there was no server that it could have spoken to.
        if min(row.silent_s, row.listening_s) <= self._settings.service_down_time:
            return False
        attempt = row.fence_attempt or {}
        failed_at = attempt.get("clock", attempt["at"]) if attempt.get("ok") is False else float("-inf")
        if evidence(row, self._settings) is not None:
            return False
        again = row.last_seen + row.silent_s - failed_at > _AGAIN_S
        return any(op.phase_since > failed_at for op in operations) or (row.name in lost and again)

    def _take(self, host: str) -> bool:
        with self._lock:
            free = host not in self._running
            self._running.add(host)
            return free

    def _fence(self, host: str) -> None:
        try:
            self._fence_if_it_is_our_turn(host)
        except Exception as error:  # its next turn comes with the next look, when the run has gone stale
            log_failure(log, error, "the fence command's run could not be recorded", extra={"host": host})
        finally:
            with self._lock:
                self._running.discard(host)

    def _fence_if_it_is_our_turn(self, host: str) -> None:
        with self._db.write() as connection:
            if not hosts.lock(connection, [host]):
                return
            row, waiting = hosts.get(connection, host), fencing.waiting_operations(connection, PHASES).get(host, ())
            lost = recovery.to_fence(connection, self._settings)
            if self._stop.is_set() or not self._needed(row, waiting, lost):
                return
            attempt = fencing.begin(connection, host, self._by, self._settings.fence_timeout + _STALE_S)
            if attempt is None:
                return
            _note(connection, waiting, host, f"running the fence command for {host} on {self._by}")
        log.warning("running the fence command", extra={"host": host})
        address = row.fence_address or self._settings.fence_addresses.get(host, "")
        outcome = run(self._settings.fence_command, host, address, self._settings.fence_timeout, self._stop)
        with self._db.write() as connection:
            if outcome is None:
                fencing.give_up(connection, attempt)
                return
            fencing.finish(connection, attempt, outcome.ok, outcome.message)
            waiting = fencing.waiting_operations(connection, PHASES).get(host, ())
            said = "succeeded" if outcome.ok else "failed"
            _note(connection, waiting, host, f"the fence command for {host} {said}: {outcome.message}")
        log.warning("the fence command %s: %s", said, outcome.message, extra={"host": host})
        for operation in waiting:
            try:
                self._reconciler.reconcile(operation.id)
            except MigratorError as error:
                log_failure(log, error, "operation %s could not be advanced; the sweep tries again", operation.id)


def run(command: str, host: str, address: str, timeout_s: float, stop: threading.Event) -> Outcome | None:
    """Run the command to its end; None when ``stop`` was set before. Blocks up to ``timeout_s``, then kills the
    command with everything that it started."""
    if (message := _unfit(command, host, address)) is not None:
        return Outcome(False, message)
    with tempfile.TemporaryFile() as output:  # not a pipe: what the command leaves behind must not hold us up
        try:
            process = subprocess.Popen(
                arguments(command, host, address),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(host, address),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Outcome(False, f"could not be started: {error}")
        try:
            code = _wait(process, timeout_s, stop)
        finally:
            if process.poll() is None:
                _kill_group(process)
        if code is not None:
            lines = _last_lines(output)
            return Outcome(True, lines[-1] if lines else "") if code == 0 else _failure(f"exit code {code}", lines)
        return None if stop.is_set() else _failure(f"killed after {timeout_s:g} s", _last_lines(output))


def arguments(command: str, host: str, address: str) -> list[str]:
    """The command's words, with {host} and {address} filled in; where it names neither, both are appended, the address
    only where an operator gave one. Each is one word, whatever is in it."""
    parts = shlex.split(command)
    if not any("{host}" in word or "{address}" in word for word in parts):
        parts += ["{host}", "{address}"] if address else ["{host}"]
    names = {"{host}": host, "{address}": address}
    for name, value in names.items():
        parts = [word.replace(name, value) for word in parts]
    return parts


def _unfit(command: str, host: str, address: str) -> str | None:
    """Why the command cannot be run for this host. A host's word about itself is never taken for its address."""
    if "{address}" in command and not address:
        return (
            f"the command names {{address}}, and none is known of {host}: set it with `migrator host-fence "
            f"{host} --address ...`, or in fence_addresses"
        )
    if host.startswith("-") or address.startswith("-"):
        return f"{host!r} or {address!r} would pass for an option of the command"
    return None


def _environment(host: str, address: str) -> dict[str, str]:
    """Ours without our settings and libpq's: the database's password may be among either."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MIGRATOR_", "PG"))}
    return inherited | {"MIGRATOR_HOST": host, "MIGRATOR_ADDRESS": address}


def _wait(process: subprocess.Popen[bytes], timeout_s: float, stop: threading.Event) -> int | None:
    """The exit code; None: out of time, or no longer wanted."""
    until = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < until and not stop.wait(_LOOK_S):
        pass
    return process.poll()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)  # its own session, and not yet waited for: the id is still its own
    process.wait()


def _last_lines(output: IO[bytes]) -> list[str]:
    output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
    text = output.read().decode(errors="replace").replace("\x00", "")
    return [line.strip() for line in text.splitlines() if line.strip()][-_TAIL_LINES:]


def _failure(reason: str, lines: Sequence[str]) -> Outcome:
    return Outcome(False, "; ".join([reason, *lines]))


def _note(connection: Any, operations: Sequence[Any], host: str, message: str) -> None:
    """In the timelines of the operations that wait for it, if any do."""
    if not operations:
        events.add(connection, EventType.FENCE_COMMAND, message, host=host)
    for operation in operations:
        events.add(
            connection,
            EventType.FENCE_COMMAND,
            message,
            operation_id=operation.id,
            instance_uuid=operation.instance_uuid,
            phase=operation.phase,
            epoch=operation.epoch,
            host=host,
        )
