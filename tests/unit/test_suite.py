"""``script/test`` asks every test there is."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_folder_of_tests_is_in_a_lane() -> None:
    script = (ROOT / "script/test").read_text()
    folders = {found.relative_to(ROOT).parts[1] for found in (ROOT / "tests").rglob("test_*.py")}
    assert {"unit", "lab", "packaging"} <= folders
    assert [name for name in sorted(folders) if f"tests/{name}" not in script] == []
