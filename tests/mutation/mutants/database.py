"""Planted bugs in claims and kept facts."""

from tests.mutation.mutant import Mutant

CLAIMS = "migrator/db/claims.py"
FACTS = "migrator/db/facts.py"

MUTANTS = (
    Mutant("take on a disabled host", CLAIMS, "            hosts.c.disabled == false(),\n", ""),
    Mutant("take on a forced-down host", CLAIMS, "            hosts.c.forced_down == false(),\n", ""),
    Mutant("take memory that is not free", CLAIMS, "            hosts.c.free_memory_mb >= memory_mb,\n", ""),
    Mutant("resize without room", CLAIMS, ".where(hosts.c.name == host, *room)", ".where(hosts.c.name == host)"),
    Mutant(
        "release twice gives twice",
        CLAIMS,
        (
            "if row is None or connection.execute(claims.delete().where(claims.c.id == row.id)).rowcount "
            "== 0:\n"
            "        return"
        ),
        ("if row is None:\n        return\n    connection.execute(claims.delete().where(claims.c.id == row.id))"),
    ),
    Mutant(
        "resize does not lock its claim",
        CLAIMS,
        "select(claims).where(mine).with_for_update()",
        "select(claims).where(mine)",
    ),
    Mutant(
        "nothing is handed over",
        CLAIMS,
        ("connection.execute(update(claims).where(claims.c.operation_id == operation_id).values(operation_id=None))"),
        "return",
    ),
    Mutant(
        "older facts are kept",
        FACTS,
        ("    if (incarnation, sequence) <= (kept.incarnation, kept.sequence):\n        return False\n"),
        "",
    ),
)
