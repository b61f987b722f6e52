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
            "if row is None or connection.execute(claims.delete().where(claims.c.id == "
            "row.id)).rowcount == 0:\n"
            "        return"
        ),
        ("if row is None:\n        return\n    connection.execute(claims.delete().where(claims.c.id == row.id))"),
        equivalent="the host's row is locked before its claims are read",
    ),
    Mutant(
        "resize does not lock its claim",
        CLAIMS,
        "select(claims).where(mine).with_for_update()",
        "select(claims).where(mine)",
        equivalent="the host's row is locked before its claims are read",
    ),
    Mutant(
        "nothing is handed over",
        CLAIMS,
        ("connection.execute(update(claims).where(claims.c.operation_id == operation_id).values(operation_id=None))"),
        "return",
    ),
    Mutant("older facts are kept", FACTS, ("    if number < newest:\n        return False\n"), ""),
    Mutant(
        "a fact that is sent again is news",
        FACTS,
        (
            "    if number == newest and not readable:  # repeated: no news, but its host still "
            "looks\n"
            "        connection.execute(_touch_statement(dialect), mine)\n"
            "        return False\n"
        ),
        "",
    ),
    Mutant("take processors that are not free", CLAIMS, "            hosts.c.free_vcpus >= vcpus,\n", ""),
    Mutant("take a disk that is not free", CLAIMS, "            hosts.c.free_disk_gb >= disk_gb,\n", ""),
    Mutant(
        "a claim that grows gives back what it takes",
        CLAIMS,
        "free[name] - needed for name, needed in more.items()",
        "free[name] + needed for name, needed in more.items()",
    ),
    Mutant(
        "a claim that grows stays small",
        CLAIMS,
        (
            "    connection.execute(update(claims).where(claims.c.id == "
            "row.id).values(operation_id=operation_id, **sizes))\n"
        ),
        "    del sizes\n",
    ),
    Mutant(
        "a release gives no memory back",
        CLAIMS,
        "            free_memory_mb=hosts.c.free_memory_mb + row.memory_mb,\n",
        "",
    ),
    Mutant(
        "what is there takes its claim twice",
        CLAIMS,
        ("    if connection.execute(update(claims).where(mine).values(operation_id=None)).rowcount:\n        return\n"),
        "    connection.execute(update(claims).where(mine).values(operation_id=None))\n",
    ),
    Mutant(
        "what is there takes no room",
        CLAIMS,
        "    connection.execute(update(hosts).where(hosts.c.name == host).values(left))\n",
        "    del left\n",
    ),
)
