"""The self-fencing lease: how long this host's guests may run on without the server, and what is left of that.

Owns the promise that the server relies on when it starts instances elsewhere, and its file, which outlives the agent.
Every doubt shortens it: it is counted from the moment at which the last answered poll was *sent*, the file may only be
older than the truth, and of two lengths that the server may believe the shorter one counts. A file that is lost or
damaged, and a reboot, count as a lapse, until nothing runs here and the server is heard. The file is of one boot, so of
one machine, and of one host name: what was promised under another name lapses, whatever is answered under this one.
Stops nothing itself (``self_fencing.py`` does).
"""

import json
import logging
import math
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from migrator.compute.boot import boot_clock, boot_id
from migrator.private_files import PASSAGE, make_folder, write_text

log = logging.getLogger("migrator.agent")

_SAVED_PARTS = 20  # the file is at most a twentieth of the lease behind


@dataclass(frozen=True, slots=True)
class SavedLease:
    """What the file says. ``contact``: seconds of ``boot_clock`` in the boot named; ``believed``: lengths in s that
    the server may count with; ``before``: contact and length of a lease under another host name."""

    host: str
    boot: str
    contact: float
    believed: tuple[float, ...]
    before: tuple[float, float] | None = None


class Lease:
    """Safe to use from several threads; what writes the file (``promise``, ``promised``, ``renew``) is for one of
    them. ``path`` None keeps it in memory."""

    def __init__(
        self,
        path: Path | None,
        wanted_s: float,
        clock: Callable[[], float] = boot_clock,
        boot: str | None = None,
        host: str = "",
    ) -> None:
        """``wanted_s``: the setting, 0 for none. ``host``: the name under which it is promised."""
        self.wanted_s = wanted_s
        self.clock = clock
        self._path, self._host = path, host
        self._boot = boot if boot is not None else boot_id()
        self._lock = threading.Lock()
        self._on_disk = False
        kept = self._load()
        self._believed = set(kept.believed)
        self._contact = self._found(kept)
        self._before = kept.before if kept.boot == self._boot else None
        if kept.host != host and kept.believed:
            log.warning("this host's lease was promised as %s: it lapses, and guests are stopped then", kept.host)
            self._before = kept.contact, min(kept.believed)
            self._believed, self._contact = set(), clock()
        self._saved = kept
        self._heard = self._contact
        self._lapsed = False
        self.lapsed()

    def _found(self, kept: SavedLease) -> float:
        """The last contact, as the file has it. After a reboot no guest of before runs, and one that an operator
        has started since must not run before the server is heard."""
        if kept.boot == self._boot:
            return kept.contact
        return -math.inf if kept.believed else self.clock()

    @property
    def length_s(self) -> float:
        """What the server may count with at the least; 0: it counts with nothing."""
        with self._lock:
            return min(self._believed, default=0.0)

    def lapsed(self) -> bool:
        """Whether guests have to be stopped. Once true it stays so until ``stopped``, though the server is heard again:
        the server may have started them elsewhere by then."""
        with self._lock:
            return self._look()

    def stopped(self) -> None:
        """Nothing runs here: guests may run again if the server was heard since, or when it is."""
        with self._lock:
            self._lapsed, self._before = False, None
            self._contact = max(self._contact, self._heard)

    def promise(self) -> None:
        """Just before the server is told the wanted length: from here on it may believe it. Raises OSError when that
        is news and cannot be kept: a full disk must not silence a host whose promise stands."""
        with self._lock:
            if not self._believed:
                self._contact = self.clock()
            self._believed |= {self.wanted_s} if self.wanted_s else set()
        self._save_news()

    def promised(self, length_s: float) -> None:
        """The server was told this length (0: none), and believes no other one. Raises OSError."""
        with self._lock:
            self._believed = {length_s} if length_s else set()
        self._save_news()

    def renew(self, sent: float) -> None:
        """A poll that was sent at ``sent`` (by ``clock``) was answered."""
        with self._lock:
            self._heard = max(self._heard, sent)
            if self._look():  # perhaps unnoticed until now: a process can be stopped for as long as you like
                return  # counts once nothing runs here
            self._contact = max(self._contact, sent)
            behind = self._contact - self._saved.contact
            due = bool(self._believed) and behind > min(self._believed) / _SAVED_PARTS
        if due:
            try:
                self._save()
            except OSError as error:  # an older contact in the file is on the safe side
                log.warning("the lease's file cannot be written: %s", error)

    def _look(self) -> bool:
        leases = [(self._contact, min(self._believed))] if self._believed else []
        leases += [self._before] if self._before is not None else []
        if any(self.clock() - contact > length for contact, length in leases):
            self._lapsed = True
        return self._lapsed

    def _load(self) -> SavedLease:
        if self._path is None:
            return SavedLease(self._host, self._boot, self.clock(), ())
        try:
            found = json.loads(self._path.read_text())
            before = found.get("before")
            kept = SavedLease(
                str(found.get("host", self._host)),
                str(found["boot"]),
                float(found["contact"]),
                tuple(float(s) for s in found["believed"]),
                (float(before[0]), float(before[1])) if before else None,
            )
        except FileNotFoundError:
            if self.wanted_s:
                log.warning("the lease's file is not there, so the lease counts as lapsed: %s", self._path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            log.error("the lease's file cannot be read, so the lease counts as lapsed: %s", error)
        else:
            self._on_disk = True
            return kept
        return SavedLease(self._host, self._boot, -math.inf, (self.wanted_s,) if self.wanted_s else ())

    def _save_news(self) -> None:
        with self._lock:
            kept = self._kept()
            news = (kept.host, kept.boot, kept.believed) != (self._saved.host, self._saved.boot, self._saved.believed)
        if news or not self._on_disk:
            self._save()

    def _kept(self) -> SavedLease:
        return SavedLease(self._host, self._boot, self._contact, tuple(sorted(self._believed)), self._before)

    def _save(self) -> None:
        """Whole or not at all. Not synced: what a power loss takes was of a boot that is over. Outside the lock, for
        a disk that hangs must not keep the guests from being stopped."""
        with self._lock:
            kept = self._kept()
        if kept == self._saved and (self._on_disk or self._path is None):
            return
        if self._path is not None:
            make_folder(self._path.parent, PASSAGE)
            half = self._path.with_suffix(".new")
            write_text(half, json.dumps(asdict(kept)))
            os.replace(half, self._path)
            self._on_disk = True
        self._saved = kept
