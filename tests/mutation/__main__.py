"""``python -m tests.mutation [--file PART] [--name PART] [--workers N] [--own] [--results FILE]``.

Exit status 1 when a mutant survives, 2 when the run could not ask its tests.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutation import mutants
from tests.mutation.mutant import Mutant
from tests.mutation.results import Results
from tests.mutation.runner import Fate, Outcome, Runner, UnchangedTreeFails

_SURVIVED, _NOT_ASKED = 1, 2  # exit statuses


def main(argv: list[str]) -> int:
    arguments = _parsed(argv)
    chosen = [m for m in mutants.ALL if arguments.file in m.file and arguments.name in m.name]
    results = Results(arguments.results)
    tried = [mutant for mutant in chosen if not mutant.equivalent]
    earlier = results.killed(tried)
    began = time.monotonic()

    def hear(outcome: Outcome) -> None:
        results.add(outcome)
        _tell(outcome)

    done = {outcome.mutant for outcome in earlier}
    runner = Runner(arguments.workers, arguments.own)
    try:
        outcomes = runner.run([mutant for mutant in tried if mutant not in done], hear)
    except UnchangedTreeFails as error:
        print(error, file=sys.stderr)
        return _NOT_ASKED
    _sum_up(chosen, [*earlier, *outcomes], time.monotonic() - began)
    fates = {outcome.fate for outcome in outcomes}
    return _NOT_ASKED if Fate.VOID in fates else _SURVIVED if Fate.SURVIVED in fates else 0


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/mutate", description="Plant bugs and see which test notices each.")
    parser.add_argument("--file", default="", help="only mutants of files whose path contains this")
    parser.add_argument("--name", default="", help="only mutants whose name contains this")
    parser.add_argument("--workers", type=int, default=2, help="mutants tried at a time (2)")
    parser.add_argument("--own", action="store_true", help="ask only the tests that are nearest to a mutant's file")
    parser.add_argument("--results", type=Path, help="keep outcomes in this file; what it says is killed is not run")
    return parser.parse_args(argv)


def _tell(outcome: Outcome) -> None:
    how = " ".join(filter(None, (outcome.fate, outcome.by)))
    print(f"{outcome.seconds:6.1f} s  {outcome.mutant.file}: {outcome.mutant.name}: {how}", flush=True)


def _sum_up(chosen: Sequence[Mutant], outcomes: Sequence[Outcome], seconds: float) -> None:
    for mutant in chosen:
        if mutant.equivalent:
            print(f"equivalent: {mutant.file}: {mutant.name}: {mutant.equivalent}")
    for outcome in outcomes:
        if outcome.fate is not Fate.KILLED:
            print(f"{outcome.fate}: {outcome.mutant.file}: {outcome.mutant.name} {outcome.by}".rstrip())
    counted = {fate: [o for o in outcomes if o.fate is fate] for fate in Fate}
    nearest = sum(outcome.suite == 0 for outcome in counted[Fate.KILLED])
    print(
        f"{len(chosen)} mutants, {sum(bool(m.equivalent) for m in chosen)} of them equivalent;"
        f" {len(counted[Fate.KILLED])} killed, {nearest} of them by the first tests asked;"
        f" {len(counted[Fate.SURVIVED])} survived, {len(counted[Fate.VOID])} void; {seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
