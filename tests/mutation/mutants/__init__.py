"""Every planted bug, by the part of the deciding code that it is in."""

from collections.abc import Sequence

from tests.mutation.mutant import Mutant
from tests.mutation.mutants import agent, database, decision, facts

ALL: Sequence[Mutant] = (*decision.MUTANTS, *facts.MUTANTS, *agent.MUTANTS, *database.MUTANTS)
