"""/v1/kept-disks: what agents told, and what an operator may ask for."""

from typing import Any

import pytest
from sqlalchemy import select

from migrator.db import surveys
from migrator.db.tables import operations
from tests.api import seed
from tests.api.harness import Web

KEPT = "0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0001"


@pytest.fixture
def instance(web: Web) -> str:
    """A stopped one on compute1, which keeps earlier disks of it; compute2 keeps some, too, by another operation."""
    uuid = seed.instance(web.db, "a", vm_state="stopped", power_state=4)
    for number, operation in ((1, KEPT), (2, uuid)):
        body = {"instance": uuid, "operation": operation, "pool": "local", "path": "/p", "files": ["disk"], "bytes": 5}
        with web.db.write() as connection:
            surveys.upsert(connection, f"compute{number}", {"kept": [body | {"age_s": 60.0, "left_s": 3540.0}]})
    return uuid


def ask(web: Web, method: str, path: str) -> Any:
    return web(method, f"/v1/kept-disks{path}", None)


def test_kept_disks_are_listed_with_size_and_age(web: Web, instance: str) -> None:
    (one, other) = ask(web, "GET", "").json()["kept_disks"]
    assert (one["host"], one["instance"], one["operation"], one["files"]) == ("compute1", instance, KEPT, ["disk"])
    assert (one["bytes"], one["age_s"], one["left_s"]) == (5, 60.0, 3540.0)
    assert other["host"] == "compute2"
    assert [kept["host"] for kept in ask(web, "GET", "?host=compute2").json()["kept_disks"]] == ["compute2"]


def test_a_restore_and_a_drop_become_operations_on_their_host(web: Web, instance: str) -> None:
    assert ask(web, "POST", f"/{instance}/{KEPT}/restore").status_code == 202
    assert ask(web, "DELETE", f"/{instance}/{instance}").status_code == 202
    with web.db.read() as connection:
        rows = connection.execute(select(operations).order_by(operations.c.id)).all()
    assert [(row.kind, row.source, row.locks_instance) for row in rows] == [
        ("kept-disks-restore", "compute1", True),
        ("kept-disks-drop", "compute2", False),
    ]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/{uuid}/{uuid}/restore", 409, "they are on compute2, and the instance is on compute1"),
        ("/{kept}/{kept}/restore", 404, "could not be found"),
        ("/{uuid}/0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f0009/restore", 404, "No host keeps disks"),
        ("/{uuid}/none/restore", 400, "operation"),
    ],
)
def test_what_cannot_be_restored_is_refused_by_name(
    web: Web, instance: str, path: str, status: int, message: str
) -> None:
    answer = ask(web, "POST", path.format(uuid=instance, kept=KEPT))
    assert (answer.status_code, message in answer.text) == (status, True), answer.text


@pytest.mark.usefixtures("instance")
def test_kept_disks_come_in_pages(web: Web) -> None:
    whole = ask(web, "GET", "").json()
    first = ask(web, "GET", "?limit=1").json()
    second = web("GET", "/v1/kept-disks", None, params={"limit": 1, "marker": first["next"]}).json()
    told = [[row["host"] for row in one["kept_disks"]] for one in (first, second, whole)]
    assert told == [["compute1"], ["compute2"], ["compute1", "compute2"]]
    assert (second["next"], whole["next"]) == (None, None)
    unknown = ask(web, "GET", "?marker=x")
    assert (unknown.status_code, "marker [x] not found" in unknown.text) == (400, True)
    assert ask(web, "GET", "?limit=0").status_code == 400


@pytest.mark.usefixtures("instance")
def test_kept_disks_that_go_by_one_name_do_not_come_again_and_again(web: Web) -> None:
    body = {"instance": "i", "operation": "o", "pool": "p", "path": "/p"}
    with web.db.write() as connection:
        surveys.upsert(connection, "compute1", {"kept": [body] * 5})
    found = ask(web, "GET", "?limit=2").json()
    follows = ask(web, "GET", f"?limit=2&marker={found['next']}").json()
    assert [row["host"] for row in follows["kept_disks"]] == ["compute2"]
