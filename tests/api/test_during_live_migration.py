"""The whole API against the table of what may be asked for during a live migration, in each of its stages."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from migrator.api.v2_1.actions.dispatch import ACTIONS
from migrator.cli.docs import document
from migrator.db.tables import instances, operations
from migrator.operations import Kind
from migrator.scheduler.requests.during_live_migration import BY_KIND, DURING_LIVE_MIGRATION, ActionRule, Answer
from tests.api import seed
from tests.api.harness import Web

STAGES: dict[str, dict[str, Any]] = {
    "queued": {"phase": "claim"},
    "preparing": {"phase": "prepare"},
    "running": {"phase": "transfer"},
    "post-migrating": {"phase": "cleanup"},
    "undone": {"phase": "transfer", "forward": False},
}
# Of these the table says that there must be a transfer to speak of.
WHILE_RUNNING = {"steer", "force_complete"}
UNTIL_MOVED = {"abort"}
BODIES: dict[str, Any] = {
    "reboot": {"type": "HARD"},
    "resize": {"flavorRef": "2"},
    "evacuate": {},
    "os-getConsoleOutput": {},
    "os-resetState": {"state": "error"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
}
DELETIONS = {"forceDelete"}  # actions that are a deletion by another name
VERBS = {"os-start": "start", "os-stop": "stop"}  # as Nova's refusals name them


def asked(web: Web, rule: str, uuid: str, key: int) -> Any:
    server = f"/v2.1/servers/{uuid}"
    if rule in ACTIONS:
        return web("POST", f"{server}/action", json={rule: BODIES.get(rule)})
    method, path, body = {
        "show": ("GET", server, None),
        "rename": ("PUT", server, {"server": {"name": "other"}}),
        "metadata": ("POST", f"{server}/metadata", {"metadata": {"a": "b"}}),
        "tags": ("PUT", f"{server}/tags", {"tags": ["a"]}),
        "delete": ("DELETE", server, None),
        "steer": ("POST", f"/v1/operations/{key}/steer", {"held": True}),
        "force_complete": ("POST", f"{server}/migrations/{key}/action", {"force_complete": None}),
        "abort": ("DELETE", f"{server}/migrations/{key}", None),
    }[rule]
    return web(method, path, json=body) if body is not None else web(method, path)


def moving(web: Web, stage: str) -> tuple[str, int]:
    seed.flavor(web.db, flavorid="2", name="m1.other")
    uuid = seed.instance(web.db, "a", host="compute1", task_state="migrating")
    status = "running" if stage == "undone" else stage
    return uuid, seed.migration(web.db, uuid, status, **STAGES[stage])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rule", [w for w in DURING_LIVE_MIGRATION if w.answer is Answer.REFUSED], ids=lambda w: w.name)
def test_what_is_refused_says_why_and_what_can_be_done(web: Web, rule: ActionRule, stage: str) -> None:
    uuid, key = moving(web, stage)
    answer = asked(web, rule.name, uuid, key)
    assert answer.status_code == 409, answer.text
    message = answer.json()["conflictingRequest"]["message"]
    assert message.startswith(f"Cannot '{VERBS.get(rule.name, rule.name)}'")
    if rule.kind is not None:
        assert f"in task_state migrating; migration {key} is" in message
        assert rule.why in message
        ways = {"undone": "being undone", "post-migrating": "cannot be aborted"}
        assert ways.get(stage, "or abort it") in message
    with web.db.read() as connection:
        kinds = connection.execute(select(operations.c.kind).where(operations.c.active)).scalars().all()
    assert kinds == [Kind.LIVE_MIGRATION]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rule", [w for w in DURING_LIVE_MIGRATION if w.answer is Answer.DONE], ids=lambda w: w.name)
def test_what_is_allowed_is_done(web: Web, rule: ActionRule, stage: str) -> None:
    uuid, key = moving(web, stage)
    status = asked(web, rule.name, uuid, key).status_code
    if rule.name in WHILE_RUNNING and stage != "running":
        assert status in (400, 409)
    elif rule.name in UNTIL_MOVED and stage == "post-migrating":
        assert status == 400
    else:
        assert status < 300


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("rule", ["delete", *DELETIONS])
def test_a_deletion_cancels_the_migration_first(web: Web, rule: str, stage: str) -> None:
    uuid, key = moving(web, stage)
    for _ in range(2):
        assert asked(web, rule, uuid, key).status_code in (202, 204)
    with web.db.read() as connection:
        kept = connection.execute(select(instances.c.delete_requested).where(instances.c.uuid == uuid)).scalar_one()
        found = connection.execute(select(operations).order_by(operations.c.id)).all()
    migration = found[0]
    assert (kept, migration.cancel_requested, migration.id) == (True, True, key)
    # At once, and not at the next sweep: what had not begun is over, and its deletion is under way.
    assert [row.kind for row in found if row.active] == (["delete"] if stage == "queued" else ["live-migration"])
    if stage == "preparing":
        assert not migration.forward


def test_the_table_has_every_action_and_every_kind() -> None:
    names = [rule.name for rule in DURING_LIVE_MIGRATION]
    assert len(set(names)) == len(names)
    assert ACTIONS.keys() - DELETIONS <= set(names)
    # Of an instance that is moved live there is neither a build, nor are the disks replaced that it writes to.
    assert set(Kind) - BY_KIND.keys() == {Kind.BUILD, Kind.KEPT_RESTORE, Kind.KEPT_DROP}


def test_the_page_is_drawn_from_the_table() -> None:
    assert (Path(__file__).parents[2] / "docs/operations.md").read_text() == document()
