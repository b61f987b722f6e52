"""The import contracts hold packages: what is put into any file of a pure package breaks them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PURE = next(c for c in CONTRACTS if c["name"] == "decisions, checks and the table are pure")


def contracts(tree: Path) -> str:
    """What ``lint-imports`` prints about the tree, at a width that wraps no line."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "migrator", top / "migrator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", top)
    return top


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in contracts(tree)


def test_a_forbidden_import_in_any_file_of_a_pure_package_breaks_the_contract(tree: Path) -> None:
    files = [path for package in PURE["source_modules"] for path in sources(tree, package)]
    assert len(files) > 20
    before = {path: path.read_text() for path in files}
    try:
        for path, text in before.items():
            path.write_text(text + "".join(f"\nimport {module}" for module in PURE["forbidden_modules"]) + "\n")
        told = contracts(tree)
    finally:
        for path, text in before.items():
            path.write_text(text)
    expected = {(name(tree, path), module) for path in files for module in PURE["forbidden_modules"]}
    assert expected - set(re.findall(r"(\S+) -> (\S+) \(l\.", told)) == set()


def sources(tree: Path, module: str) -> list[Path]:
    path = tree / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def name(tree: Path, path: Path) -> str:
    return ".".join(path.relative_to(tree).with_suffix("").parts).removesuffix(".__init__")
