"""The list of planted bugs stays true: each changes what stands in the code today. ``script/mutate`` runs them."""

import pytest

from tests.mutation.mutant import OWN, SUITES, Mutant
from tests.mutation.mutants import ALL
from tests.mutation.runner import ROOT

EQUIVALENT = [mutant for mutant in ALL if mutant.equivalent]


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_what_stands_exactly_once_in_its_file(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutant.applied(text)
    assert changed != text
    compile(changed, mutant.file, "exec")


def test_no_two_mutants_share_a_name() -> None:
    names = [(mutant.file, mutant.name) for mutant in ALL]
    assert len(set(names)) == len(names)


def test_the_tests_that_are_asked_exist() -> None:
    named = {path for table in (OWN, SUITES) for paths in table.values() for path in paths}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert [file for file in OWN if not (ROOT / file).exists()] == []


def test_the_readme_says_why_some_cannot_be_noticed() -> None:
    text = (ROOT / "tests/mutation/README.md").read_text()
    for mutant in EQUIVALENT:
        why = f"{mutant.equivalent[0].upper()}{mutant.equivalent[1:]}."
        assert f"| {mutant.name} | `{mutant.file.removeprefix('migrator/')}` | {why} |" in text
