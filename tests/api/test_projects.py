"""Where there is no Keystone, clients find each project by its name."""

from pathlib import Path

from migrator.db.engine import Database
from tests.api.callers import Callers


def test_a_project_is_any_name(db: Database, tmp_path: Path) -> None:
    callers = Callers("http_basic", db, tmp_path)
    path = "/identity/v3/projects/some.project"
    found = callers.ask("reader", "GET", path, None).json()["project"]
    assert (found["id"], found["name"], found["enabled"]) == ("some.project", "some.project", True)
    assert callers.ask("stranger", "GET", path, None).status_code == 401
    assert callers.ask("reader", "GET", "/identity/v3/projects/" + "x" * 256, None).status_code == 400
    callers.web.services.db.close()


def test_with_keystone_projects_are_asked_for_there(db: Database, tmp_path: Path) -> None:
    more = {"keystone_auth_url": "http://k/v3", "keystone_password": "secret", "auth_strategy": "keystone"}
    callers = Callers("believed", db, tmp_path, **more)
    answer = callers.ask("reader", "GET", "/identity/v3/projects/own", None)
    assert (answer.status_code, "Keystone knows the projects" in answer.text) == (404, True)
    callers.web.services.db.close()
