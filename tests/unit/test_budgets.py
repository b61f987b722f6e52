"""A newcomer reads the code in an afternoon: no file outgrows one screenful of reasons, and no function one screen.

Owns both budgets and the list of what is over them today. The list only shrinks: an entry holds the length that its
file or function may have, and goes when the budget holds it.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("migrator", "tests")
FILE_LINES = 300
FUNCTION_LINES = 40

LONG_FILES: Mapping[str, int] = {}
LONG_FUNCTIONS: Mapping[str, int] = {}


def test_no_file_is_longer_than_its_budget() -> None:
    assert offenders(file_lengths(ROOT), FILE_LINES, LONG_FILES) == []


def test_no_function_is_longer_than_its_budget() -> None:
    assert offenders(function_lengths(ROOT), FUNCTION_LINES, LONG_FUNCTIONS) == []


def test_the_list_of_what_is_over_the_budgets_names_only_that() -> None:
    assert unneeded(file_lengths(ROOT), FILE_LINES, LONG_FILES) == []
    assert unneeded(function_lengths(ROOT), FUNCTION_LINES, LONG_FUNCTIONS) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with one file and one function at their budgets, one of each above, and something that is not code."""
    room = tmp_path / "migrator" / "room"
    room.mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (room / "full.py").write_text("x = 1\n" * FILE_LINES)
    (tmp_path / "tests" / "long.py").write_text("x = 1\n" * (FILE_LINES + 1))
    body = "        x = 1\n"
    fits = "class Thing:\n    def fits(self):\n" + body * (FUNCTION_LINES - 1)
    spills = "    async def spills(self):\n" + body * FUNCTION_LINES
    (room / "functions.py").write_text(fits + spills)
    (room / "notes.txt").write_text("no code\n" * 1000)
    (tmp_path / "elsewhere.py").write_text("x = 1\n" * 1000)
    return tmp_path


def test_a_planted_long_file_is_found_and_one_at_its_budget_is_not(tree: Path) -> None:
    assert offenders(file_lengths(tree), FILE_LINES, {}) == ["tests/long.py: 301 lines, 300 allowed"]


def test_a_planted_long_function_is_found_and_one_at_its_budget_is_not(tree: Path) -> None:
    found = offenders(function_lengths(tree), FUNCTION_LINES, {})
    assert found == ["migrator/room/functions.py Thing.spills: 41 lines, 40 allowed"]


def test_a_function_within_a_function_is_measured_by_its_own_name(tmp_path: Path) -> None:
    inner = "    def inner():\n" + "        x = 1\n" * FUNCTION_LINES
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "nested.py").write_text(f"def outer():\n{inner}")
    lengths = {"tests/nested.py outer": 42, "tests/nested.py outer.inner": 41}
    assert function_lengths(tmp_path) == lengths


@pytest.mark.parametrize(
    ("allowed", "grown", "done"),
    [
        ({"tests/long.py": 301}, [], []),
        ({"tests/long.py": 400}, [], []),
        ({"tests/long.py": 300}, ["tests/long.py: 301 lines, 300 allowed"], []),
        ({"tests/long.py": 301, "migrator/room/full.py": 320}, [], ["migrator/room/full.py"]),
        ({"tests/long.py": 301, "tests/gone.py": 320}, [], ["tests/gone.py"]),
    ],
    ids=["as long as its entry", "shrunk", "grown", "within the budget by now", "gone"],
)
def test_an_entry_holds_a_length_and_goes_when_it_is_not_needed(
    tree: Path, allowed: Mapping[str, int], grown: list[str], done: list[str]
) -> None:
    assert offenders(file_lengths(tree), FILE_LINES, allowed) == grown
    assert unneeded(file_lengths(tree), FILE_LINES, allowed) == done


def offenders(lengths: Mapping[str, int], budget: int, allowed: Mapping[str, int]) -> list[str]:
    """Every name that is longer than the budget, or than its own entry among the ``allowed``."""
    limits = ((name, length, allowed.get(name, budget)) for name, length in lengths.items())
    return [f"{name}: {length} lines, {limit} allowed" for name, length, limit in limits if length > limit]


def unneeded(lengths: Mapping[str, int], budget: int, allowed: Mapping[str, int]) -> list[str]:
    """Entries whose file or function is gone, or within the budget."""
    over = {name for name, length in lengths.items() if length > budget}
    return sorted(set(allowed) - over)


@cache
def file_lengths(root: Path) -> Mapping[str, int]:
    """The number of lines of each Python file below the root's folders, by its path."""
    return {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in _python_files(root)}


@cache
def function_lengths(root: Path) -> Mapping[str, int]:
    """The number of lines of each function, by its file's path and its qualified name; decorators are left out."""
    return {
        f"{path.relative_to(root)} {name}": (function.end_lineno or 0) - function.lineno + 1
        for path in _python_files(root)
        for name, function in _functions(ast.parse(path.read_text()))
    }


def _functions(
    node: ast.AST, outer: tuple[str, ...] = ()
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        names = outer
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = (*outer, child.name)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield ".".join(names), child
        yield from _functions(child, names)


def _python_files(root: Path) -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
