"""``POST /v1/notifications``: which of a monitor's words are evidence, and that the senders' own programs are heard."""

import datetime
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db.tables import events, hosts
from migrator.scheduler.fleet import recovery
from tests.api import seed
from tests.api.harness import Web
from tests.api.lost_host import third_host

LOST = "compute3"
STOPPED = {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"}
ALERT = Path(__file__).parents[2] / "packaging/pacemaker/migrator-alert"


@pytest.fixture
def lost(web: Web, tmp_path: Path) -> Web:
    """compute3 is silent, and nothing says that it runs nothing."""
    third_host(web, last_seen=1.0)
    return Web(web.db, tmp_path / "ha", ha_policy="evacuate")


def at(ago_s: float = 0.0) -> str:
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago_s)).isoformat()


def notify(web: Web, told: dict[str, str], **more: Any) -> Any:
    body = {"type": "COMPUTE_HOST", "hostname": LOST, "generated_time": at(), "payload": told}
    return web("POST", "/v1/notifications", None, json={"notification": body | more})


def evidence(web: Web) -> Any:
    with web.db.read() as connection:
        return connection.execute(select(hosts.c.fencing).where(hosts.c.name == LOST)).scalar_one()


def begun(web: Web) -> list[Any]:
    recovery.check(web.db, web.services.settings)
    found: list[Any] = web("GET", "/v1/recoveries", None).json()["recoveries"]
    return found


def test_a_host_that_stopped_and_is_known_to_be_off_is_recovered(lost: Web) -> None:
    answer = notify(lost, STOPPED)
    assert answer.status_code == 202, answer.text
    shown = answer.json()["notification"]
    assert (shown["status"], shown["type"], shown["payload"]) == ("finished", "COMPUTE_HOST", STOPPED)
    (found,) = begun(lost)
    assert (found["host"], found["evidence"]["kind"], found["evidence"]["by"]) == (LOST, "notification", "admin")
    assert "cluster_status OFFLINE, event STOPPED, host_status NORMAL" in found["evidence"]["words"]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (STOPPED | {"host_status": "UNKNOWN"}, "the host may still have power"),
        ({"event": "STOPPED", "cluster_status": "OFFLINE"}, "the host may still have power"),
        (STOPPED | {"cluster_status": "ONLINE"}, "only a host that STOPPED and is OFFLINE"),
        (STOPPED | {"event": "STARTED"}, "only a host that STOPPED and is OFFLINE"),
        ({"event": "STOPPED"}, "only a host that STOPPED and is OFFLINE"),
    ],
)
def test_any_other_word_is_recorded_and_no_evidence(lost: Web, payload: dict[str, str], why: str) -> None:
    shown = notify(lost, payload).json()["notification"]
    assert (shown["status"], why in shown["message"]) == ("ignored", True)
    assert (evidence(lost), begun(lost)) == (None, [])
    with lost.db.read() as connection:
        (line,) = connection.execute(select(events.c.message).where(events.c.name == "notified")).scalars()
    assert why in line


def test_guests_and_processes_are_no_evidence(lost: Web) -> None:
    for kind, payload in (("VM", {"instance_uuid": seed.new_uuid()}), ("PROCESS", {"process_name": "libvirtd"})):
        assert notify(lost, payload, type=kind).json()["notification"]["status"] == "ignored"
    assert evidence(lost) is None


def test_a_word_from_before_the_host_was_last_heard_is_late(lost: Web) -> None:
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == LOST).values(last_seen=seed.BEGAN))
    shown = notify(lost, STOPPED, generated_time="2026-09-21T14:13:00").json()["notification"]
    assert (shown["status"], shown["message"]) == ("ignored", "the host was heard after that")
    assert notify(lost, STOPPED, generated_time="2026-09-21T14:13:30").json()["notification"]["status"] == "finished"


def test_a_word_of_a_clock_that_is_ahead_is_not_newer_than_the_hosts_own(lost: Web) -> None:
    moment = datetime.datetime.fromtimestamp(
        seed.BEGAN + 1.0, datetime.UTC
    ).isoformat()  # said before, by a clock ahead
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == LOST).values(last_seen=seed.BEGAN))
    assert notify(lost, STOPPED, generated_time=moment).json()["notification"]["status"] == "ignored"
    assert notify(lost, STOPPED, generated_time=at(-30.0)).status_code == 400
    assert evidence(lost) is None


def test_a_host_that_is_heard_after_the_word_is_alive(lost: Web) -> None:
    notify(lost, STOPPED)
    with lost.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == LOST).values(last_seen=4_000_000_000.0))
    assert begun(lost) == []


def test_a_standing_word_of_an_operator_is_not_overwritten(lost: Web) -> None:
    (service,) = [s for s in lost("GET", "/v2.1/os-services").json()["services"] if s["host"] == LOST]
    lost("PUT", f"/v2.1/os-services/{service['id']}", json={"forced_down": True})
    notify(lost, STOPPED)
    assert evidence(lost)["kind"] == "forced_down"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"hostname": "nowhere"}, "Host with name nowhere could not be found."),
        ({"generated_time": "soon"}, "is not a 'date-time'"),
        ({"generated_time": at(-3600.0)}, "the sender's clock is wrong"),
        ({"payload": {"event": "DIED"}}, "event"),
        ({"payload": STOPPED | {"more": "x"}}, "more"),
        ({"type": "RACK"}, "type"),
    ],
)
def test_bad_notifications_are_refused(lost: Web, more: dict[str, Any], expected: str) -> None:
    answer = notify(lost, STOPPED, **more)
    assert (answer.status_code, expected in answer.text) == (400, True), answer.text
    assert evidence(lost) is None


def alert(tmp_path: Path, **variables: str) -> list[str]:
    """What Pacemaker's agent would have curl send: its arguments."""
    sent = tmp_path / "sent"
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {sent}\n')
    curl.chmod(0o755)
    known = {f"CRM_alert_{name}": value for name, value in variables.items()}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **known}
    subprocess.run([str(ALERT)], env=environment, check=True, timeout=20)
    return sent.read_text().split("\0")[:-1] if sent.exists() else []


FENCED = {"kind": "fencing", "rc": "0", "node": LOST, "recipient": "http://10.0.0.1:8774/"}


@pytest.mark.parametrize("desc", ["Operation reboot of n1 by n2 for x@n2: OK", "Operation 'off' targeting n1 by n2"])
def test_pacemaker_tells_what_it_has_fenced(lost: Web, tmp_path: Path, desc: str) -> None:
    sent = alert(tmp_path, desc=desc, **FENCED)
    assert sent[-1] == "http://10.0.0.1:8774/v1/notifications"
    body = json.loads(sent[sent.index("--data") + 1])
    assert lost("POST", "/v1/notifications", None, json=body).json()["notification"]["status"] == "finished"
    assert len(begun(lost)) == 1


@pytest.mark.parametrize(
    "other",
    [{"rc": "1"}, {"kind": "node"}, {"desc": "Operation 'on' targeting n1 by n2"}, {"desc": ""}, {"recipient": ""}],
)
def test_pacemaker_tells_nothing_of_what_is_no_fencing(tmp_path: Path, other: dict[str, str]) -> None:
    assert alert(tmp_path, **FENCED | {"desc": "Operation 'off' targeting n1 by n2"} | other) == []
