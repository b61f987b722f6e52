"""The generated page is the code's, and every kind is in it."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from migrator.api.urls import ROUTES
from migrator.cli import docs_reference, docs_settings
from migrator.cli.docs import document, one_live_migration, openapi_page
from migrator.cli.docs_microversions import microversions_page
from migrator.cli.docs_policy import policy_page
from migrator.cli.docs_rooms import architecture
from migrator.cli.docs_supported import supported_page
from migrator.cli.settings_reader import settings_of
from migrator.operations import OPERATIONS
from migrator.settings import AgentSettings, ServerSettings, load

PAGE = Path(__file__).parents[2] / "docs/operations.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == document(), "run script/docs"


def test_the_page_of_what_is_supported_is_up_to_date() -> None:
    assert (PAGE.parent / "supported.md").read_text() == supported_page(), "run script/docs"


def test_the_page_of_microversions_is_up_to_date() -> None:
    assert (PAGE.parent / "microversions.md").read_text() == microversions_page(), "run script/docs"


def test_the_page_of_the_policy_is_up_to_date() -> None:
    assert (PAGE.parent / "policy.md").read_text() == policy_page(), "run script/docs"


def test_the_page_of_settings_and_the_example_configurations_are_up_to_date() -> None:
    assert (PAGE.parent / "settings.md").read_text() == docs_settings.settings_page(), "run script/docs"
    for name in docs_settings.KINDS:
        kept = PAGE.parents[1] / f"packaging/{name}.toml"
        assert kept.read_text() == docs_settings.example(name), "run script/docs"


@pytest.mark.parametrize(("name", "kind"), [("server", ServerSettings), ("agent", AgentSettings)])
def test_an_example_configuration_is_read_and_has_every_setting_explained_with_its_default(
    name: str, kind: type[ServerSettings] | type[AgentSettings], tmp_path: Path
) -> None:
    """As it is; and with each default that it shows no comment any more, when it is what an empty one is."""
    load(kind, PAGE.parents[1] / f"packaging/{name}.toml")
    text = docs_settings.example(name)
    shown = re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
    values, settings = tomllib.loads(shown), settings_of(kind)
    assert set(values) == set(kind.model_fields) == {setting.name for setting in settings}
    assert [setting.name for setting in settings if not setting.about] == []
    defaults = re.sub(r"^# \(example\)\n\w+ = .*|^(database|image_dir) = .*", "", shown, flags=re.MULTILINE)
    (tmp_path / "defaults.toml").write_text(defaults)
    assert len(tomllib.loads(defaults)) > 20
    shown_defaults, plain = (load(kind, path).model_dump() for path in (tmp_path / "defaults.toml", None))
    assert {name: value for name, value in shown_defaults.items() if not name.startswith("quota_")} == {
        name: value for name, value in plain.items() if not name.startswith("quota_")
    }


def test_the_openapi_document_is_up_to_date() -> None:
    kept = (PAGE.parent / "openapi.json").read_text()
    assert kept == openapi_page(), (
        "docs/openapi.json is not what migrator/api/urls.py serves: run script/docs, and commit it"
    )


def test_the_openapi_document_has_every_surface() -> None:
    paths = json.loads((PAGE.parent / "openapi.json").read_text())["paths"]
    surfaces = {path.split("/")[1] for path in paths}
    assert {"v1", "v2.1", "image", "agent", "metrics", ""} <= surfaces
    described = {(path, method.upper()) for path, item in paths.items() for method in item}
    assert described == {(route.path, route.method) for route in ROUTES if route.documented}


def test_the_page_of_one_live_migration_is_up_to_date() -> None:
    page = PAGE.parent / "live-migration.md"
    assert page.read_text() == one_live_migration(page.read_text()), "run script/docs"


def test_the_lists_of_errors_commands_and_decisions_are_up_to_date() -> None:
    folder = PAGE.parent
    assert (folder / "errors.md").read_text() == docs_reference.errors_page(), "run script/docs"
    assert (folder / "cli.md").read_text() == docs_reference.commands_page(), "run script/docs"
    assert (folder / "decisions.md").read_text() == docs_reference.decisions_page(folder / "adr"), "run script/docs"


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    tour = PAGE.parent / "architecture.md"
    assert tour.read_text() == architecture(tour.read_text(), PAGE.parents[1] / "pyproject.toml"), "run script/docs"


def test_the_tour_and_the_rules_name_files_that_exist() -> None:
    for page in ("architecture.md", "design.md"):
        named = re.findall(
            r"`((?:api|scheduler|compute|db|migrator)/[a-z0-9_/]+(?:\.py)?)`", (PAGE.parent / page).read_text()
        )
        package = PAGE.parents[1] / "migrator"
        missing = [name for name in named if not exists(package / name.removeprefix("migrator/"))]
        assert len(named) > 10, page
        assert missing == [], page


def exists(path: Path) -> bool:
    return path.exists() or path.with_suffix(".py").exists()


def test_one_live_migration_is_fewer_than_25_files() -> None:
    rows = re.findall(r"^\| (\d+) \| `", (PAGE.parent / "architecture.md").read_text(), re.MULTILINE)
    assert len(rows) == int(rows[-1]) < 25


def test_every_phase_of_every_kind_is_drawn() -> None:
    page = document()
    for operation in OPERATIONS.values():
        section = page.split(f"## {operation.kind}\n")[1].split("\n## ")[0]
        for phase in operation.phases:
            assert f"| {phase.name} | {phase.actor} | {phase.do} |" in section
        assert ("== no return ==>" in section) == (operation.point_of_no_return not in (None, operation.phases[0].name))


def test_every_row_of_a_table_has_the_cells_of_its_head() -> None:
    for name in ("operations.md", "supported.md", "settings.md", "architecture.md", "design.md", "glossary.md"):
        head = 0
        for number, line in enumerate((PAGE.parent / name).read_text().splitlines(), 1):
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not (head and cells) or cells == head, f"{name}:{number}"
            head = cells


def test_each_number_is_that_of_one_decision() -> None:
    numbers = [path.name[:4] for path in (PAGE.parent / "adr").glob("*.md")]
    assert len(numbers) > 30
    assert sorted(numbers) == sorted(set(numbers))


PAGES = [*PAGE.parent.rglob("*.md"), *PAGE.parents[1].glob("*.md")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert [to for to in LINK.findall(page.read_text()) if not (page.parent / to).exists()] == []
