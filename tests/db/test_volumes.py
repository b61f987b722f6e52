"""Whose a volume is: one instance's, though several ask at the same time; and it is free again when that is deleted."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from migrator.db import volumes
from migrator.db.engine import Database
from migrator.errors import AlreadyExists, Conflict, VolumeNotFound

SOURCE = "nbd://10.0.0.250:10809/data"


@pytest.fixture
def ident(db: Database) -> str:
    with db.write() as connection:
        return volumes.create(connection, "data", SOURCE, 1, None)


def test_of_many_who_want_it_at_once_one_gets_it(db: Database, ident: str) -> None:
    def take(number: int) -> str | None:
        try:
            with db.write() as connection:
                volumes.attach(connection, ident, f"instance-{number}", "vdb")
        except Conflict:
            return None
        return f"instance-{number}"

    with ThreadPoolExecutor(8) as pool:
        winners = [winner for winner in pool.map(take, range(8)) if winner is not None]
    with db.read() as connection:
        assert [volumes.get(connection, ident).instance_uuid] == winners


def test_one_that_is_somebodys_is_not_forgotten_and_is_free_once_he_is_gone(db: Database, ident: str) -> None:
    with db.write() as connection:
        volumes.attach(connection, ident, "one", "vdb")
        with pytest.raises(Conflict, match="attached to instance one"):
            volumes.remove(connection, ident)
        volumes.release(connection, "another")
        assert volumes.get(connection, ident).instance_uuid == "one"
        volumes.release(connection, "one")
        row = volumes.get(connection, ident)
        assert (row.instance_uuid, row.target, row.attached_at) == (None, None, None)
        volumes.remove(connection, ident)
        for act in (volumes.get, volumes.remove):
            with pytest.raises(VolumeNotFound):
                act(connection, ident)


def test_one_source_is_one_volume_and_the_refusal_harms_no_transaction(db: Database, ident: str) -> None:
    with db.write() as connection:
        with pytest.raises(AlreadyExists):
            volumes.create(connection, "again", SOURCE, 2, None)
        other = volumes.create(connection, "another", f"{SOURCE}2", 2, None)
    with db.read() as connection:
        assert [row.id for row in volumes.every(connection)] == [other, ident]


def test_an_instance_that_cannot_have_all_its_volumes_has_none(db: Database, ident: str) -> None:
    with db.write() as connection:
        free = volumes.create(connection, "free", f"{SOURCE}2", 1, None)
        volumes.attach(connection, ident, "one", "vdb")

    def take_both() -> None:
        with db.write() as connection:
            volumes.attach(connection, free, "two", "vdb")
            volumes.attach(connection, ident, "two", "vdc")

    with pytest.raises(Conflict):
        take_both()
    with db.read() as connection:
        assert volumes.get(connection, free).instance_uuid is None
