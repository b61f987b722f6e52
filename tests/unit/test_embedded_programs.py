"""Programs that tests keep in strings, for other processes, import modules that there are."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("migrator", "tests")


def test_every_import_in_a_string_finds_its_module() -> None:
    found = [(str(path.relative_to(ROOT)), name) for path in sources() for name in imported_in_strings(path)]
    assert len(found) > 5
    assert [(path, name) for path, name in found if not exists(name)] == []


def sources() -> Iterator[Path]:
    for top in OURS:
        yield from sorted((ROOT / top).rglob("*.py"))


def imported_in_strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
            yield from imported(node.value)


def imported(program: str) -> Iterator[str]:
    try:
        tree = ast.parse(program)
    except SyntaxError:  # prose
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in OURS)


def exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
