"""``migrator agent --check``: prints what this host lacks. Owns the table; ``compute/host_check`` looks and judges."""

import argparse
from dataclasses import asdict

from migrator.cli.output import say, show_rows
from migrator.cli.tables import Column
from migrator.compute.host_check.checks import results
from migrator.compute.host_check.observe import observe
from migrator.settings import AgentSettings

_COLUMNS = (
    Column("Check", "check"),
    Column("", lambda row: "ok" if row["ok"] else "MISSING"),
    Column("Found", "found"),
    Column("What to do", "mend"),
)


def check(settings: AgentSettings, arguments: argparse.Namespace) -> int:
    """0: nothing is missing. Raises MigratorError for a setting with which nothing can be looked at."""
    found = results(observe(settings))
    show_rows(arguments, _COLUMNS, [asdict(result) for result in found])
    missing = [result.check for result in found if not result.ok]
    if not arguments.json:
        say(f"missing: {', '.join(missing)}" if missing else "nothing is missing")
    return 1 if missing else 0
