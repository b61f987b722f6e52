"""Two requests of one project ask for the last of a quota at once, on both databases: one of them gets it."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from migrator.db import key_pairs, quotas, server_groups
from migrator.db import tables as t
from migrator.db.engine import Connection, Database
from migrator.db.key_pairs import Owner
from migrator.errors import QuotaExceeded
from migrator.scheduler.requests import build, cold_migration, quota_checks
from tests import registering
from tests.bench import databases
from tests.db.test_races import CALLER, Meanwhile

ONE = {"instances": 1, "cores": 2, "ram": -1, "metadata_items": -1, "key_pairs": 1, "server_groups": 1}
BIG = {**databases.FLAVOR, "flavorid": "big", "name": "big", "vcpus": databases.FLAVOR["vcpus"] + 1}


def both(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[str]:
    """The second asks between the first's count and its commit; how each ends."""
    ended: list[str] = []

    def run() -> None:
        try:
            act()
            ended.append("made")
        except QuotaExceeded:
            ended.append("refused")

    other, limits, ours = Meanwhile(run), quotas.limits, threading.get_ident()

    def counted(connection: Connection, project: str, settings: quotas.Limits) -> dict[str, int]:
        found = limits(connection, project, settings)
        if threading.get_ident() == ours:
            other.begin()
        return found

    monkeypatch.setattr(quotas, "limits", counted)
    run()
    other.end()
    return sorted(ended)


def test_the_last_instance_is_made_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    new = build.NewInstance("a", {**databases.FLAVOR}, None)
    assert both(monkeypatch, partial(build.create_instances, db, CALLER, [new], 1, ONE)) == ["made", "refused"]


def test_the_last_core_is_given_to_one_resize(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    registering.register(db, "one", 1, databases.report())
    uuids = databases.add_instances(db, 2)
    with db.write() as connection:
        connection.execute(t.instances.update().values(host="one", vm_state="active", task_state=None))
        project = connection.execute(t.instances.select()).first()
    assert project is not None
    limits = {"cores": 2 * int(databases.FLAVOR["vcpus"]) + 1, "ram": -1}
    ask = iter(uuids)
    resize = partial(cold_migration.resize, db, CALLER, flavor=BIG, same_host=True, quotas=limits)
    assert both(monkeypatch, lambda: resize(next(ask))) == ["made", "refused"]


def test_the_last_key_pair_and_the_last_group_are_made_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner("admin", "admin")
    names = iter("ab")

    def pair() -> None:
        with db.write() as connection:
            quota_checks.key_pair(connection, owner, ONE)
            values = {"name": next(names), "type": "ssh", "public_key": "k", "fingerprint": "f"}
            key_pairs.create(connection, owner, values)

    def group() -> None:
        with db.write() as connection:
            quota_checks.server_group(connection, "admin", ONE)
            values = {"name": "g", "policy": "affinity", "rules": {}, "project_id": "admin", "user_id": "admin"}
            server_groups.create(connection, values)

    assert both(monkeypatch, pair) == ["made", "refused"]
    monkeypatch.undo()
    assert both(monkeypatch, group) == ["made", "refused"]
