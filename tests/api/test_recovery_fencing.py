"""``ha_fence``: the fence command is run for a lost host that no client asked to evacuate, or is not."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db.engine import Database
from migrator.db.server_heartbeat import clock
from migrator.db.tables import drains, hosts, instances
from migrator.errors import SettingInvalid
from migrator.scheduler.fleet import recovery
from migrator.server.fence_runner import FenceRunner
from migrator.settings import ServerSettings, load
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import third_host

LOST = "compute3"


class Fenced:
    """compute3 is silent, and the servers are to recover what it has."""

    def __init__(self, web: Web, tmp_path: Path, script: str = "echo off", **more: Any) -> None:
        third_host(web, last_seen=1.0)
        self.db: Database = web.db
        self.ran = tmp_path / "ran"
        path = tmp_path / "fence"
        path.write_text(f"#!/bin/sh\necho $1 >> {self.ran}\n{script}\n")
        path.chmod(0o755)
        settings: dict[str, Any] = {"ha_policy": "evacuate", "ha_fence": "automatic", "fence_command": str(path)}
        self.web = Web(web.db, tmp_path / "ha", **settings | more)
        self.fencer = FenceRunner(self.web.services, threading.Event())

    def look(self) -> None:
        self.fencer.check_hosts()
        recovery.check(self.db, self.web.services.settings)

    def runs(self) -> list[str]:
        return self.ran.read_text().split() if self.ran.exists() else []

    def recoveries(self) -> list[Any]:
        with self.db.read() as connection:
            return list(connection.execute(select(drains)).all())

    def change(self, host: str = LOST, **values: Any) -> None:
        with self.db.write() as connection:
            connection.execute(update(hosts).where(hosts.c.name == host).values(**values))

    def now(self) -> float:
        with self.db.read() as connection:
            return clock(connection)


def test_the_servers_fence_a_lost_host_once_and_recover_it(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path)
    fenced.look()
    fenced.look()
    (found,) = fenced.recoveries()
    assert (found.host, fenced.runs()) == (LOST, [LOST])


def test_an_operator_fences_unless_the_servers_shall(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path, ha_fence="operator")
    fenced.look()
    assert (fenced.runs(), fenced.recoveries()) == ([], [])


def test_a_short_silence_is_no_reason_to_fence(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path, ha_silence=10_000.0)
    fenced.change(last_seen=fenced.now() - 500.0)
    fenced.look()
    assert fenced.runs() == []


def test_no_host_is_fenced_while_more_are_silent_than_ha_max_lost(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path)
    fenced.change("compute2", last_seen=fenced.now() - 500.0)
    fenced.look()
    assert fenced.runs() == []


def test_a_command_that_failed_is_not_repeated_at_once_and_nothing_is_recovered(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path, "echo no route; exit 1")
    fenced.look()
    fenced.look()
    assert (fenced.runs(), fenced.recoveries()) == ([LOST], [])
    (alarm,) = fenced.web("GET", "/v1/alarms", None).json()["alarms"]
    assert alarm["message"].endswith("It failed: exit code 1; no route")
    fenced.change(fence_attempt={"at": seed.BEGAN, "clock": seed.BEGAN, "by": "x", "ok": False, "words": "no route"})
    fenced.look()
    assert fenced.runs() == [LOST, LOST]


def test_a_host_that_was_fenced_and_came_back_is_not_fenced_again_by_itself(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path)
    ended = fenced.now() - 1000.0
    attempt = {"at": ended, "clock": ended, "by": "x", "ok": True, "words": ""}
    fenced.change(last_seen=fenced.now() - 500.0, fence_attempt=attempt)
    fenced.look()
    assert fenced.runs() == []


def test_no_host_is_fenced_for_instances_that_can_go_nowhere(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path)
    with web.db.write() as connection:
        connection.execute(update(instances).where(instances.c.name == "kept").values(deleted=True))
    fenced.look()
    (alarm,) = fenced.web("GET", "/v1/alarms", None).json()["alarms"]
    assert (fenced.runs(), fenced.recoveries(), alarm["kind"]) == ([], [], "recovery-held")
    assert "is not fenced: none of its instances could be evacuated" in alarm["message"]
    assert "only the lost host has them" in alarm["message"]


def test_a_plan_that_cannot_be_made_fences_nothing(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("spec")

    fenced = Fenced(web, tmp_path)
    monkeypatch.setattr("migrator.scheduler.fleet.recovery.evacuations.read", broken)
    fenced.look()
    (alarm,) = fenced.web("GET", "/v1/alarms", None).json()["alarms"]
    assert (fenced.runs(), "no plan can be made" in alarm["message"]) == ([], True)


def test_a_recovery_whose_evidence_counts_no_more_is_fenced_for_again(web: Web, tmp_path: Path) -> None:
    fenced = Fenced(web, tmp_path)
    fenced.look()
    fenced.web.services.drains.sweep()
    fenced.change(fencing=None)  # as after a break of all servers
    fenced.look()
    assert (len(fenced.recoveries()), fenced.runs()) == (1, [LOST, LOST])


def test_fencing_needs_a_command() -> None:
    with pytest.raises(SettingInvalid, match="ha_fence = automatic needs fence_command"):
        load(ServerSettings, None, ha_fence="automatic")
