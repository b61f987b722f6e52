"""``python -m tests.mutation [--file PART] [--name PART] [--workers N]``: exit status 1 when a mutant survives."""

import argparse
import sys
import time

from tests.mutation import mutants, runner
from tests.mutation.runner import Outcome


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/mutate", description="Plant bugs and see which test notices each.")
    parser.add_argument("--file", default="", help="only mutants of files whose path contains this")
    parser.add_argument("--name", default="", help="only mutants whose name contains this")
    parser.add_argument("--workers", type=int, default=2, help="mutants tried at a time (2)")
    arguments = parser.parse_args(argv)
    chosen = [m for m in mutants.ALL if arguments.file in m.file and arguments.name in m.name]
    tried = [mutant for mutant in chosen if not mutant.equivalent]
    began = time.monotonic()
    outcomes = runner.run(tried, arguments.workers, _tell)
    survivors = [outcome.mutant for outcome in outcomes if not outcome.killed_by]
    for mutant in chosen:
        if mutant.equivalent:
            print(f"equivalent: {mutant.file}: {mutant.name}: {mutant.equivalent}")
    for mutant in survivors:
        print(f"SURVIVED: {mutant.file}: {mutant.name}")
    lasted = time.monotonic() - began
    equivalent = len(chosen) - len(tried)
    print(f"{len(chosen)} mutants, {equivalent} of them equivalent; {len(survivors)} survived; {lasted:.0f} s")
    return 1 if survivors else 0


def _tell(outcome: Outcome) -> None:
    how = outcome.killed_by or "SURVIVED"
    print(f"{outcome.seconds:6.1f} s  {outcome.mutant.file}: {outcome.mutant.name}: {how}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
