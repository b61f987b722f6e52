"""The generated page is the code's, and every kind is in it."""

from pathlib import Path

from migrator.cli.docs import document, readme
from migrator.cli.docs_supported import supported_page
from migrator.operations import OPERATIONS

PAGE = Path(__file__).parents[2] / "docs/operations.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == document(), "run script/docs"


def test_the_page_of_what_is_supported_is_up_to_date() -> None:
    assert (PAGE.parent / "supported.md").read_text() == supported_page(), "run script/docs"


def test_the_front_page_is_up_to_date() -> None:
    front = PAGE.parents[1] / "README.md"
    assert front.read_text() == readme(front.read_text()), "run script/docs"


def test_every_phase_of_every_kind_is_drawn() -> None:
    page = document()
    for operation in OPERATIONS.values():
        section = page.split(f"## {operation.kind}\n")[1].split("\n## ")[0]
        for phase in operation.phases:
            assert f"| {phase.name} | {phase.actor} | {phase.do} |" in section
        assert ("== no return ==>" in section) == (operation.point_of_no_return not in (None, operation.phases[0].name))
