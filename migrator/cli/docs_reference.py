"""Draws the reference's pages that are lists of what the code has: error codes, checks and alarms with what to do for
each (``docs/errors.md``), every verb of the command line (``docs/cli.md``), and the decisions (``docs/decisions.md``).

Owns their words beside what the code says. Pure but for the decisions, whose titles are read from ``docs/adr``.
"""

import argparse
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from migrator import errors
from migrator.alarms import ADVICE as ALARM_ADVICE
from migrator.api.faults import status_of
from migrator.checks import CHECKS
from migrator.cli.docs_error_advice import ADVICE as ERROR_ADVICE
from migrator.cli.main import parser

_GENERATED = "by `script/docs`; do not edit."
_WIDE = functools.partial(argparse.HelpFormatter, width=110)
_ERRORS = f"""# Errors, checks and alarms

Generated from `migrator/errors.py`, `migrator/checks.py` and `migrator/alarms.py` {_GENERATED}

## Error codes

The code of an error is stable: in `/v1` it is the answer's `code`, and in the log of a server or an agent it stands
beside the sentence. The sentence says what is wrong, and in most cases what to do. *HTTP*: the status that a client
sees; an agent's errors reach clients as an operation's reason.

| code | HTTP | is | what to do |
| --- | --- | --- | --- |
"""
_CHECKS = """
## Checks before a move

In `migrator preflight`, `/v1/preflight`, and the reason of a move that is refused.

| check | asks | what to do |
| --- | --- | --- |
"""
_ALARMS = """
## Alarms

In `migrator alarms`, `/v1/alarms`, the dashboard and the metric `migrator_alarms`.

| alarm | what to do |
| --- | --- |
"""


def errors_page() -> str:
    classes: list[type[errors.MigratorError]] = [errors.MigratorError, *_below(errors.MigratorError)]
    rows = [f"| `{kind.code}` | {_status(kind)} | {_first(kind)} | {ERROR_ADVICE[kind.code]} |" for kind in classes]
    checks = [f"| `{check.code}` | {_cell(check.asks)} | {_cell(check.advice)} |" for check in CHECKS.values()]
    alarms = [f"| `{kind}` | {_cell(advice)} |" for kind, advice in ALARM_ADVICE.items()]
    return _ERRORS + "\n".join(rows) + "\n" + _CHECKS + "\n".join(checks) + "\n" + _ALARMS + "\n".join(alarms) + "\n"


def _status(kind: type[errors.MigratorError]) -> int:
    return status_of(kind(kind.code))


def _below(kind: type[errors.MigratorError]) -> Iterator[type[errors.MigratorError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _below(child)


def _first(kind: type[errors.MigratorError]) -> str:
    """The first sentence of what the class says of itself; else its name as words."""
    said = " ".join((kind.__doc__ or "").split()).split(". ")[0].rstrip(".")
    if said and "__doc__" in vars(kind) and kind.__doc__:
        return _cell(said)
    return kind.code.replace("_", " ")


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")


def commands_page() -> str:
    """Every verb with its arguments, as ``migrator help VERB`` prints them."""
    top = parser()
    (verbs,) = (action for action in top._actions if action.dest == "command")
    helps = {row.dest: row.help or "" for row in getattr(verbs, "_choices_actions", ())}
    page = [
        "# Commands",
        "",
        f"Generated from the command line {_GENERATED} The same in a terminal: `man migrator`.",
        "",
    ]
    for name, one in sorted(dict(verbs.choices or {}).items()):
        one.formatter_class = _WIDE
        one.description = one.description or helps.get(name)
        page += [f"## {name}", "", "```text", one.format_help().rstrip(), "```", ""]
    return "\n".join(page)


def decisions_page(folder: Path) -> str:
    """An index of ``docs/adr``, by number. ``folder``: that one."""
    rows = []
    for path in sorted(folder.glob("[0-9]*.md")):
        title = re.sub(r"^# *0*(\d+)[:.] *", r"\1. ", path.read_text().splitlines()[0])
        rows.append(f"- [{title}](adr/{path.name})")
    about = f"Generated from `docs/adr` {_GENERATED} Each page: what was decided, why, and what was rejected."
    return f"# Decisions\n\n{about}\n\n" + "\n".join(rows) + "\n"


def write(root: Path) -> None:
    (root / "docs/errors.md").write_text(errors_page())
    (root / "docs/cli.md").write_text(commands_page())
    (root / "docs/decisions.md").write_text(decisions_page(root / "docs/adr"))
