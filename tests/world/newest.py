"""The invariant that an instance's newest data is never destroyed while no other whole copy of it exists, held against
every call of every hypervisor and every moment of the simulated world.

Owns the comparison of the disks before and after. What the client or an operator gave up, the world's ``simulation``
knows (``settle_for``); what was deleted, the database.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import func, select

from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.state import SimulatedDisk
from migrator.db.engine import Database
from migrator.db.tables import instances, operations
from migrator.operations import Kind

NOTHING = -1  # older than every disk, also than one that holds its image alone


class NewestCopy(NamedTuple):
    """A file as it was at a moment. ``file`` is compared by identity: one that is kept aside is still the same."""

    uuid: str
    target: str
    place: str
    file: SimulatedDisk
    version: int
    whole: bool


class NewestData:
    """``lost`` collects every breach in words. ``given_up(uuid)``: the client has no use for the data any more."""

    def __init__(self, simulation: SimulatedCluster, given_up: Callable[[str], bool], lost: list[str]) -> None:
        self._simulation = simulation
        self._given_up = given_up
        self._lost = lost
        self._before: list[NewestCopy] = []

    def begin(self) -> None:
        """Before something is done. What happens outside of ``begin`` and ``end`` is a disaster that a test makes."""
        self._before = self._copies()

    def end(self, what: str) -> None:
        now = {id(copy.file): copy for copy in self._copies()}
        for copy in self._before:
            after = now.get(id(copy.file))
            if copy.whole and (after is None or after.version < copy.version):
                self._destroyed(copy, list(now.values()), what)
        self._before = []

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        self.begin()
        yield
        self.end(what)

    def _copies(self) -> list[NewestCopy]:
        return [
            NewestCopy(uuid, target, identity, file, file.version, not (file.damage or storage.damage(file)))
            for identity, storage in self._simulation.storages.items()
            for (uuid, target), file in storage.disks.everything()
        ]

    def _destroyed(self, gone: NewestCopy, left: list[NewestCopy], what: str) -> None:
        """A version that a client gave up is newer than the one that counts as newest: of that one a copy stays."""
        newest = self._simulation.newest_version(gone.uuid, gone.target)
        needed = min(gone.version, newest)
        others = [c.version for c in left if (c.uuid, c.target) == (gone.uuid, gone.target) and c.whole]
        if needed <= 0 or max(others, default=NOTHING) >= needed or self._given_up(gone.uuid):
            return  # the image has what no guest has written to
        self._lost.append(
            f"{what} destroyed version {gone.version} of {gone.target} of {gone.uuid} on {gone.place}; its newest is"
            f" {newest}, and what is left is {others}"
        )


def given_up(db: Database, uuid: str, handed_over: Collection[str]) -> bool:
    """Whether a client has deleted the instance, or was never given it: its build has not come to its end."""
    is_deletion = operations.c.kind == Kind.DELETE.value
    is_built = (operations.c.kind == Kind.BUILD.value) & (operations.c.status == "completed")
    counted = select(func.count()).select_from(operations).where(operations.c.instance_uuid == uuid)
    with db.read() as connection:
        row = connection.execute(select(instances).where(instances.c.uuid == uuid)).one_or_none()
        asked = row is not None and (row.deleted or row.delete_requested)
        deletions = connection.execute(counted.where(is_deletion)).scalar_one()
        built = connection.execute(counted.where(is_built)).scalar_one()
    return asked or deletions > 0 or not (built or uuid in handed_over)
