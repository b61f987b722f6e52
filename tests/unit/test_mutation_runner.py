"""A run of planted bugs tells a test that noticed one from tests that could not be asked."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutation.asking import Answer, Verdict, ask
from tests.mutation.mutant import Mutant
from tests.mutation.results import Results
from tests.mutation.runner import Fate, Outcome, Runner, UnchangedTreeFails

CODE = "migrator/api/sums.py"
MUTANT = Mutant("a sum is a difference", CODE, "1 + 1", "1 - 1")
PASSED, FAILED = Answer(Verdict.PASSED), Answer(Verdict.FAILED, "tests/test_sums.py::test_sum")
ENDED = Answer(Verdict.ENDED, "a signal ended the tests: SIGTERM")
BROKEN = Answer(Verdict.BROKEN, "tests/test_sums.py")


class Asked:
    """Answers of the unchanged tree are ``whole``; those of the mutant come one after the other."""

    def __init__(self, *mutated: Answer, whole: Answer = PASSED) -> None:
        self.whole, self.mutated, self.asked = whole, list(mutated), list[str]()

    def __call__(self, tree: Path, suite: Sequence[str]) -> Answer:
        mutated = "1 - 1" in (tree / CODE).read_text()
        self.asked.append(f"{'mutant' if mutated else 'unchanged'}: {suite[0]}")
        return self.mutated.pop(0) if mutated else self.whole


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / CODE).parent.mkdir(parents=True)
    (tmp_path / CODE).write_text("TWO = 1 + 1\n")
    return tmp_path


def attempted(tree: Path, tests: Asked) -> Outcome:
    return Runner(own_only=True, asking=tests).attempt(tree, MUTANT)


def test_a_test_that_fails_kills_a_mutant_and_the_file_is_put_back(tree: Path) -> None:
    outcome = attempted(tree, Asked(FAILED))
    assert (outcome.fate, outcome.by) == (Fate.KILLED, FAILED.detail)
    assert (tree / CODE).read_text() == "TWO = 1 + 1\n"


def test_tests_that_a_signal_ended_are_asked_again(tree: Path) -> None:
    assert attempted(tree, Asked(ENDED, PASSED)).fate is Fate.SURVIVED
    assert attempted(tree, Asked(ENDED, FAILED)).fate is Fate.KILLED


def test_a_mutant_whose_tests_a_signal_ends_each_time_is_void(tree: Path) -> None:
    outcome = attempted(tree, Asked(ENDED, ENDED))
    assert (outcome.fate, outcome.by) == (Fate.VOID, ENDED.detail)


def test_a_file_that_cannot_be_imported_kills_a_mutant_only_if_it_can_be_without_the_bug(tree: Path) -> None:
    assert attempted(tree, Asked(BROKEN)).fate is Fate.KILLED

    class Environment(Asked):
        """The unchanged tree passes at first; then what its tests need goes away."""

        def __call__(self, tree: Path, suite: Sequence[str]) -> Answer:
            answer = super().__call__(tree, suite)
            self.whole = BROKEN
            return answer

    assert attempted(tree, Environment(BROKEN, BROKEN)).fate is Fate.VOID


def test_a_suite_that_the_unchanged_tree_fails_stops_the_run(tree: Path) -> None:
    tests = Asked(FAILED, whole=FAILED)
    with pytest.raises(UnchangedTreeFails, match=r"does not pass tests/api/.*test_sum"):
        attempted(tree, tests)
    assert [asked.split(":")[0] for asked in tests.asked] == ["unchanged"]


def test_the_unchanged_tree_is_asked_each_suite_once(tree: Path) -> None:
    tests = Asked(FAILED, FAILED)
    runner = Runner(own_only=True, asking=tests)
    for _ in range(2):
        runner.attempt(tree, MUTANT)
    assert [asked.split(":")[0] for asked in tests.asked] == ["unchanged", "mutant", "mutant"]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("def test_it():\n    pass\n", PASSED),
        ("def test_it():\n    assert False\n", Answer(Verdict.FAILED, "test_it.py::test_it")),
        ("import not_there\n", Answer(Verdict.BROKEN, "test_it.py")),
        ("def test_it(not_there):\n    pass\n", Answer(Verdict.BROKEN, "test_it.py::test_it")),
        ("import os\n\ndef test_it():\n    os.kill(os.getpid(), 15)\n", ENDED),
        ("", Answer(Verdict.ENDED, "pytest ended with status 5")),
    ],
)
def test_how_pytest_ends_is_read(tmp_path: Path, body: str, answer: Answer) -> None:
    (tmp_path / "test_it.py").write_text(body)
    assert ask(tmp_path, ("test_it.py",)) == answer


def test_kept_results_name_what_was_killed_and_forget_a_mutant_that_has_changed(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    survivor = Mutant("a survivor", CODE, "1 + 1", "2")
    for mutant, fate in ((MUTANT, Fate.KILLED), (survivor, Fate.SURVIVED)):
        results.add(Outcome(mutant, fate, "a test"))
    changed = Mutant(MUTANT.name, MUTANT.file, MUTANT.old, "1 * 1")
    assert [outcome.mutant for outcome in results.killed((MUTANT, survivor, changed))] == [MUTANT]
