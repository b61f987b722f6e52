"""The documentation is one site: it is built without a warning, its links lead somewhere, and its pages ask no other
host for what they show."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FRONT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/mutation/README.md")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    mkdocs = ROOT / ".site/bin/mkdocs"
    assert mkdocs.exists(), "`script/bootstrap site` makes it"
    command = [str(mkdocs), "build", "--strict", "--site-dir", str(built)]
    environment = {"PATH": os.environ["PATH"], "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE * 60, env=environment)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return built


def test_every_page_is_in_the_menu_or_is_a_decision(site: Path) -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")}
    assert len(pages) > 60
    assert {page for page in pages if f": {page}\n" not in menu and not page.startswith(("adr/", "404"))} == set()
    listed = (ROOT / "docs/decisions.md").read_text()
    assert {page for page in pages if page.startswith("adr/") and f"({page})" not in listed} == set()


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|link(?! rel=\"canonical\"))[^>]+(?:src|href)=\"(?:https?:)?//[^\"]+")
    found = {hit for path in site.rglob("*.html") for hit in loaded.findall(path.read_text())}
    assert found == set()


@pytest.mark.parametrize("name", FRONT)
def test_links_of_the_pages_outside_the_site_lead_somewhere(name: str) -> None:
    page = ROOT / name
    targets = {link for link in LINK.findall(page.read_text()) if "://" not in link}
    assert {link for link in targets if not (page.parent / link).exists()} == set()


def test_the_front_page_fits_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 45
