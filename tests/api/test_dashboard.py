"""The dashboard's page and files: given to browsers alone, with a policy that lets them do nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from migrator.api.dashboard import assets
from tests.api.harness import Web

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
MOST_BYTES = 400 * 1024
# What makes markup or code out of text, which another person may have written.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)"
)
OURS = [asset for asset in assets.files() if "/vendor/" not in asset.path]


def get(web: Web, path: str, accept: str = "*/*", **headers: str) -> Any:
    return web("GET", path, None, headers={"Accept": accept, **headers})


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, */*;q=0.5"])
def test_a_client_of_the_api_is_given_the_versions(web: Web, accept: str) -> None:
    answer = get(web, "/", accept)
    assert [version["id"] for version in answer.json()["versions"]] == ["v2.0", "v2.1"]
    assert answer.headers["Vary"] == "Accept"


def test_a_browser_is_given_the_page_and_each_file_that_the_page_names(web: Web) -> None:
    page = get(web, "/", BROWSER)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert any(path.endswith("/main.js") for path in named)
    for path in named:
        answer = get(web, path)
        assert (answer.status_code, path.startswith("/dashboard/")) == (200, True), path
        assert "immutable" in answer.headers["Cache-Control"]


def test_what_a_page_may_do_is_said_with_each_answer(web: Web) -> None:
    for path in ("/", OURS[0].path):
        headers = get(web, path, BROWSER).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_files_are_packed_for_browsers_that_read_that_and_are_small(web: Web) -> None:
    asset = OURS[0]
    packed = get(web, asset.path, **{"Accept-Encoding": "gzip, br"})
    plain = get(web, asset.path, **{"Accept-Encoding": "identity"})
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == ("gzip", False)
    assert packed.content == plain.content == asset.content
    assert sum(len(one.packed) for one in (*assets.files(), assets.page())) < MOST_BYTES


def test_a_change_of_any_file_gives_all_of_them_new_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "b.js").write_text("2")
    monkeypatch.setattr(assets, "_FOLDER", tmp_path)
    before = [asset.path for asset in assets.files.__wrapped__()]
    (tmp_path / "b.js").write_text("3")
    after = [asset.path for asset in assets.files.__wrapped__()]
    assert [path.rsplit("/", 1)[1] for path in before] == ["a.js", "b.js"]
    assert not set(before) & set(after)


@pytest.mark.parametrize("asset", OURS, ids=lambda asset: asset.path.split("/", 3)[3])
def test_no_script_makes_markup_of_text_or_names_another_host(asset: assets.Asset) -> None:
    assert MARKUP.findall(asset.content.decode()) == []
    assert len(asset.content.splitlines()) <= 300
