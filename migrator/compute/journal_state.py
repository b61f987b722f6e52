"""What an agent's journal says, in memory: incarnations, epochs, transfers begun, each instance's newest operation.

Owns the shapes of the lines and what a compaction may forget. Never reads or writes a file (``journal.py`` does).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

# The newest operations survive a compaction. Should a host see as many during one transfer, the domain's stamp still
# tells that it was begun.
KEPT_OPERATIONS = 2000
KEPT_INSTANCES = 50_000


class JournalState:
    """Line shapes: ``{"incarnation": 3}`` (with ``"floor": 7`` once instances were forgotten) and
    ``{"operation": "...", "epoch": 2}``, the latter with ``"begun": true`` or ``"instance": "...", "serial": 8``."""

    def __init__(self) -> None:
        self.incarnation = 0
        self.floor = 0  # the newest serial of the instances that were forgotten
        self.epochs: dict[str, int] = {}  # in the order last touched
        self.begun: dict[str, set[int]] = {}
        self.served: dict[str, tuple[int, str]] = {}  # instance -> (serial, operation), in the order last touched

    def apply(self, line: bytes) -> None:
        """Raises ValueError, KeyError or TypeError for a line that cannot be read, and has changed nothing then."""
        entry = json.loads(line)
        if "incarnation" in entry:
            incarnation, floor = int(entry["incarnation"]), int(entry.get("floor", 0))
            self.incarnation, self.floor = max(self.incarnation, incarnation), max(self.floor, floor)
            return
        operation, epoch, serial = str(entry["operation"]), int(entry["epoch"]), int(entry.get("serial", 0))
        self.remember(operation, epoch, begun=bool(entry.get("begun")))
        if serial:
            self.serve(str(entry["instance"]), serial, operation)

    def remember(self, operation_id: str, epoch: int, *, begun: bool) -> None:
        known = self.epochs.pop(operation_id, 0)
        self.epochs[operation_id] = max(known, epoch)
        if begun:
            self.begun.setdefault(operation_id, set()).add(epoch)

    def serve(self, instance_uuid: str, serial: int, operation_id: str) -> None:
        known = self.served.pop(instance_uuid, (0, ""))
        self.served[instance_uuid] = max(known, (serial, operation_id))

    def newest(self, instance_uuid: str) -> int:
        """The serial of the newest operation that was served for the instance; for a forgotten one the highest that it
        may have been, and 0 if there was none."""
        return self.served.get(instance_uuid, (self.floor, ""))[0]

    def forget_old(self) -> None:
        for operation_id in list(self.epochs)[:-KEPT_OPERATIONS]:
            del self.epochs[operation_id]
            self.begun.pop(operation_id, None)
        for instance_uuid in list(self.served)[:-KEPT_INSTANCES]:
            self.floor = max(self.floor, self.served.pop(instance_uuid)[0])

    def lines(self) -> Iterable[bytes]:
        """The whole of it, as few lines as possible."""
        yield self.first_line()
        for operation_id, epoch in self.epochs.items():
            yield line_of({"operation": operation_id, "epoch": epoch})
            for begun in sorted(self.begun.get(operation_id, ())):
                yield line_of({"operation": operation_id, "epoch": begun, "begun": True})
        for instance_uuid, (serial, operation_id) in self.served.items():
            # The epoch of an operation that was forgotten is 0: it says nothing.
            entry = {"operation": operation_id, "epoch": self.epochs.get(operation_id, 0)}
            yield line_of(entry | {"instance": instance_uuid, "serial": serial})

    def first_line(self) -> bytes:
        return line_of({"incarnation": self.incarnation} | ({"floor": self.floor} if self.floor else {}))


def line_of(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"
