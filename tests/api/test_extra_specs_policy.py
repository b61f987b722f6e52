"""Extra specs are an operator's words about hosts: where the policy's rule does not pass, no answer has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.db.engine import Database
from tests.api import seed
from tests.api.callers import PROJECT, Callers

RULE = "os_compute_api:os-flavor-extra-specs:index"
SPECS = {"hw:secret": "1"}


@pytest.fixture
def cloud(db: Database, tmp_path: Path) -> Iterator[Callers]:
    """Whose operator shows extra specs to administrators alone; with a server of such a flavor."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"'{RULE}': 'rule:context_is_admin'\n")
    made = Callers("believed", db, tmp_path, policy_file=policy)
    seed.flavor(db, extra_specs=SPECS)
    seed.instance(db, "a", uuid=seed.NOBODY, project_id=PROJECT, flavor={**seed.FLAVOR, "extra_specs": SPECS})
    yield made
    made.web.services.db.close()


@pytest.mark.parametrize("person", ["manager", "member", "reader"])
@pytest.mark.parametrize("version", ["2.47", "2.61", "2.104"])
def test_flavors_and_servers_leave_extra_specs_out_where_the_rule_does_not_pass(
    cloud: Callers, person: str, version: str
) -> None:
    for path in ("/flavors/detail", "/flavors/1", "/servers/detail", f"/servers/{seed.NOBODY}"):
        answer = cloud.ask(person, "GET", f"/v2.1{path}", version)
        assert answer.status_code == 200, answer.text
        assert "extra_specs" not in answer.text, path
        assert "hw:secret" not in answer.text, path
    assert cloud.ask(person, "GET", "/v2.1/flavors/1/os-extra_specs", version).status_code == 403


def test_a_renamed_server_leaves_extra_specs_out_too(cloud: Callers) -> None:
    body = {"server": {"name": "b"}}
    answer = cloud.ask("member", "PUT", f"/v2.1/servers/{seed.NOBODY}", "2.104", json=body)
    assert (answer.status_code, "extra_specs" in answer.text) == (200, False)


@pytest.mark.parametrize(
    ("path", "version"), [("/flavors/1", "2.61"), (f"/servers/{seed.NOBODY}", "2.47"), ("/flavors/1", "2.104")]
)
def test_a_caller_that_passes_the_rule_reads_them(cloud: Callers, path: str, version: str) -> None:
    (shown,) = cloud.ask("admin", "GET", f"/v2.1{path}", version).json().values()
    flavor: Any = shown.get("flavor", shown)
    assert flavor["extra_specs"] == SPECS
