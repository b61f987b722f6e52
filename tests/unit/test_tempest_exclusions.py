"""The list of what is left out of tempest is read as it is written, and each row has its reason."""

import re
from pathlib import Path

from tests.tempest import exclusions


def test_the_list_is_read_from_the_page_with_a_reason_each() -> None:
    page = exclusions.PAGE.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    found = exclusions.read(page)
    assert len(found) == len(rows) > 10
    assert all(re.compile(tests) and why.strip() for tests, why in found.items())


def test_a_row_leaves_out_what_it_names_and_an_idle_one_is_named(tmp_path: Path) -> None:
    found = exclusions.read("| tests | why |\n| --- | --- |\n| `a\\|b` | neither is served |\n| `nosuch` | x |\n")
    assert found == {"a|b": "neither is served", "nosuch": "x"}
    exclusions.write(tmp_path / "excluded", found)
    first = (tmp_path / "excluded").read_text().splitlines()[0]
    assert first == r"tempest\.(api\.compute|serial_tests\.api)\..*(a|b) # neither is served"
    assert exclusions.idle(found, ["tempest.api.compute.x.b"]) == ["nosuch"]
