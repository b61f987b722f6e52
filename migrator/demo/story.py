"""What the demo does on its stage: moves its instances in every way there is, and measures. No printing."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from migrator.demo.cloud import DemoFailed, wait_for
from migrator.demo.stage import Stage
from migrator.demo.witness import Saw, Witness, follow

Tell = Callable[[str], None]
Watch = Callable[[str, dict[str, Any] | None], None]
STORAGES = ("shared", "local")
LARGER = {"ram": 192, "disk": 2}


@dataclass(frozen=True, slots=True)
class Move:
    """One move, as ``--json`` prints it, and its operation's id. None: not measured (simulated guests).

    ``total_ms``: from the request until the move was over (an evacuation: until the instance lived again).
    ``downtime_ms``: how long it was out of service, as migrator knows it. ``guest_gap_ms``: the same for its user.
    """

    operation: int
    server: str
    name: str
    migration_type: str
    status: str
    source: str
    destination: str | None
    storage: str
    total_ms: int
    downtime_ms: int | None
    guest_gap_ms: int | None
    disk_checksum_before: str | None
    disk_checksum_after: str | None

    def public(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "operation"}


@dataclass(frozen=True, slots=True)
class Guest:
    """An instance of the story, and what it saw."""

    uuid: str
    name: str
    storage: str
    witness: Witness


class Story:
    def __init__(self, stage: Stage, tell: Tell, watch: Watch) -> None:
        self._stage = stage
        self._cloud = stage.cloud
        self._tell = tell
        self._watch = watch

    def play(self) -> list[Move]:
        """Raises DemoFailed when an instance does not come up, a move does not complete, or a guest saw harm."""
        with ExitStack() as stack:
            shared, local = self._boot(stack)
            return [
                *(self._live(guest) for guest in (shared, local)),
                self._cold(local, away_from=self._where(shared)),
                self._resize(shared),
                *self._lose_a_host(shared),
            ]

    def _boot(self, stack: ExitStack) -> list[Guest]:
        cloud = self._cloud
        self._tell("images and flavors")
        image = self._stage.image()
        flavors = {storage: cloud.flavor(f"tiny.{storage}", storage) for storage in STORAGES}
        servers = {storage: cloud.boot(f"{storage}-1", flavors[storage], image) for storage in STORAGES}
        guests = []
        for storage, uuid in servers.items():
            found = cloud.wait_active(uuid)
            self._tell(f"{found['name']} runs on {found['OS-EXT-SRV-ATTR:host']} ({storage} storage)")
            witness = stack.enter_context(follow(self._stage.consoles(uuid)))
            guests.append(Guest(uuid, found["name"], storage, witness))
        return guests

    def _live(self, guest: Guest) -> Move:
        guest.witness.begin()
        self._tell(f"live-migrating {guest.name}")
        begun = self._cloud.act(guest.uuid, "os-migrateLive", {"host": None, "block_migration": "auto"})
        ended = self._until(guest, begun["id"], "completed")
        return self._move(guest, ended, guest.witness.end())

    def _cold(self, guest: Guest, away_from: str) -> Move:
        """To a host where the other instance is not, so that the loss of that one's host is its alone."""
        host = next(h for h in self._stage.hosts if h not in (away_from, self._where(guest)))
        guest.witness.begin()
        self._tell(f"cold-migrating {guest.name} to {host}")
        begun = self._cloud.act(guest.uuid, "migrate", {"host": host})
        self._until(guest, begun["id"], "finished")
        self._tell(f"{guest.name} waits in VERIFY_RESIZE; confirming")
        self._cloud.call("POST", f"/v2.1/servers/{guest.uuid}/action", {"confirmResize": None})
        ended = self._until(guest, begun["id"], "confirmed")
        return self._move(guest, ended, guest.witness.end(boots=1))

    def _resize(self, guest: Guest) -> Move:
        larger = self._cloud.flavor("larger.shared", guest.storage, **LARGER)
        guest.witness.begin()
        self._tell(f"resizing {guest.name} to {LARGER['ram']} MiB and {LARGER['disk']} GiB")
        begun = self._cloud.act(guest.uuid, "resize", {"flavorRef": larger})
        self._until(guest, begun["id"], "finished")
        size = guest.witness.disk_size(boots=1)
        seen = "" if size is None else f" and sees a disk of {size / 2**30:.0f} GiB"
        self._tell(f"{guest.name} runs on {self._where(guest)} in VERIFY_RESIZE{seen}; reverting")
        self._cloud.call("POST", f"/v2.1/servers/{guest.uuid}/action", {"revertResize": None})
        ended = self._until(guest, begun["id"], "reverted")
        self._tell(f"{guest.name} runs on {self._where(guest)} again, as it was")
        return self._move(guest, ended, guest.witness.end(boots=2))

    def _lose_a_host(self, guest: Guest) -> list[Move]:
        host = self._where(guest)
        guest.witness.begin()
        self._tell(f"cutting the power of {host}, where {guest.name} runs")
        self._stage.power.power_off(host)
        self._cloud.force_down(host, True)
        self._tell(f"{host} is forced down: the evidence that nothing runs there; evacuating {guest.name}")
        begun = self._cloud.act(guest.uuid, "evacuate", {})
        moved = self._until(guest, begun["id"], "done")
        found = self._cloud.wait_active(guest.uuid)
        self._tell(f"{guest.name} lives on {found['OS-EXT-SRV-ATTR:host']}; what it held on {host} is still claimed")
        total_ms = self._elapsed_ms(begun["id"])
        saw = guest.witness.end(boots=1)
        self._tell(f"{host} has power again")
        self._stage.power.power_on(host)
        moved = self._until(guest, begun["id"], "completed")
        self._cloud.force_down(host, False)
        wait_for(lambda: host in self._cloud.hosts_up() or None, f"{host} to be up")
        self._tell(f"{host} has destroyed its old copy, is no longer forced down, and is up")
        return [self._move(guest, moved, saw, total_ms)]

    # parts
    def _where(self, guest: Guest) -> str:
        return str(self._cloud.server(guest.uuid)["OS-EXT-SRV-ATTR:host"])

    def _until(self, guest: Guest, ident: int, status: str) -> dict[str, Any]:
        """The operation as soon as it is so far. Raises DemoFailed when it ends otherwise."""

        def read() -> dict[str, Any] | None:
            found = self._cloud.operation(ident)
            if found["status"] == status and (status in ("finished", "done") or not found["active"]):
                return found
            if not found["active"]:
                raise DemoFailed(f"the move of {guest.name} ended as {found['status']}: {found['error']}")
            self._watch(guest.name, found)
            return None

        reached = wait_for(read, f"the move of {guest.name} to be {status}")
        self._watch(guest.name, None)
        return reached

    def _elapsed_ms(self, ident: int) -> int:
        return int(self._cloud.timeline(ident)[-1]["offset_ms"])

    def _move(self, guest: Guest, ended: dict[str, Any], saw: Saw, total_ms: int | None = None) -> Move:
        outcome = ended["outcome"] or {}
        return Move(
            operation=ended["id"],
            server=guest.uuid,
            name=guest.name,
            migration_type=ended["kind"],
            status=ended["status"],
            source=ended["source"],
            destination=ended["destination"],
            storage=guest.storage,
            total_ms=self._elapsed_ms(ended["id"]) if total_ms is None else total_ms,
            downtime_ms=outcome.get("out_of_service_ms", outcome.get("downtime_ms")),
            guest_gap_ms=saw.gap_ms,
            disk_checksum_before=saw.before,
            disk_checksum_after=saw.after,
        )
