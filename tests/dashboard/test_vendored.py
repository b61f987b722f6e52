"""The dashboard's libraries are the ones that the lock file names, byte for byte, with their licences."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "script/vendored"
FOLDERS = ("migrator/api/dashboard/static/vendor", "tests/dashboard/vendor")
LICENCES = {"MIT", "Apache-2.0", "MPL-2.0"}


def table() -> list[dict[str, str]]:
    with (LOCKED / "table.tsv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def packages() -> dict[str, Any]:
    locked = json.loads((LOCKED / "package-lock.json").read_text())["packages"]
    return {name.removeprefix("node_modules/"): about for name, about in locked.items() if name}


@pytest.mark.parametrize("row", table(), ids=lambda row: row["file"])
def test_a_file_is_the_one_that_was_taken_from_its_package(row: dict[str, str]) -> None:
    assert hashlib.sha256((ROOT / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    locked = packages()[row["package"]]
    assert (row["version"], row["licence"]) == (locked["version"], locked["license"])
    assert locked["license"] in LICENCES


def test_there_is_no_file_that_the_table_does_not_name_and_each_package_has_its_licence() -> None:
    there = {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).iterdir()}
    assert there == {row["file"] for row in table()}
    assert {row["package"] for row in table() if row["file"].endswith(".LICENSE")} == set(packages())


def test_each_package_is_locked_to_one_version_and_hash() -> None:
    asked = json.loads((LOCKED / "package.json").read_text())
    wanted = asked["dependencies"] | asked["devDependencies"]
    assert {name: about["version"] for name, about in packages().items()} == wanted
    assert all(about["integrity"].startswith("sha512-") for about in packages().values())
