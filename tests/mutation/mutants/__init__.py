"""Every planted bug, by the part of the deciding code that it is in."""

from collections.abc import Sequence

from tests.mutation.mutant import Mutant
from tests.mutation.mutants import (
    agent,
    balance,
    database,
    decision,
    facts,
    fitness,
    fleet,
    gate,
    giving_up,
    host_reports,
    memory,
    proofs,
    records,
    transfer,
    verdict,
)

ALL: Sequence[Mutant] = (
    *agent.MUTANTS,
    *balance.MUTANTS,
    *database.MUTANTS,
    *decision.MUTANTS,
    *facts.MUTANTS,
    *fitness.MUTANTS,
    *fleet.MUTANTS,
    *gate.MUTANTS,
    *giving_up.MUTANTS,
    *host_reports.MUTANTS,
    *memory.MUTANTS,
    *proofs.MUTANTS,
    *records.MUTANTS,
    *transfer.MUTANTS,
    *verdict.MUTANTS,
)
