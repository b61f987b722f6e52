"""Draws the manual page and the shells' completions from the command line's own parser, for ``packaging/``.

Owns their words beside the parser's and what each argument completes to. Never runs with the command: its two libraries
are for development, and what they write is kept in the repository. No date and no width of a terminal is in it, so that
it is the same wherever it is drawn.
"""

import argparse
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shtab
from argparse_manpage.manpage import Manpage

from migrator import __version__
from migrator.cli.main import parser

COMPLETIONS: Mapping[str, str] = {"bash": "packaging/completions/migrator", "zsh": "packaging/completions/_migrator"}
MAN_PAGE = "packaging/man/migrator.1"
_FILES = ("config", "file", "server_ca")
_WIDE = functools.partial(argparse.HelpFormatter, width=100_000)  # man breaks the lines where it is read
_GENERATED = "Generated from migrator's command line by script/docs; do not edit."

# What the library writes as lines of one paragraph -> the same with a break
_LAYOUT: Mapping[str, str] = {
    r"\n{2,}": r"\n",
    r"^usage: (.*)$": r"\1\n.PP",
    r"^(?:options|arguments):\n\.RS 7$": ".RS 4",
}

# heading -> what man shows there, in roff
_SECTIONS: Mapping[str, str] = {
    "exit status": """.TP
0
It is done.
.TP
1
It failed, or what was asked about is not so: one sentence on the standard error, or the table, says why.
.TP
2
The command line is wrong.""",
    "environment": r""".TP
.B MIGRATOR_URL
The Compute API, where \-\-url does not name it; else
.BR OS_ENDPOINT ,
else http://127.0.0.1:8774/v2.1.
.TP
.BR OS_AUTH_TYPE ", " OS_USERNAME ", " OS_PASSWORD ", " OS_AUTH_URL ", ..."
The credential, as OpenStack's clients take it: http_basic, password, token or v3applicationcredential.
.TP
.BI MIGRATOR_ NAME
A setting of
.B migrator server
and
.BR "migrator agent" :
it wins over the file.""",
    "files": r""".TP
.I /etc/migrator/server.toml
The server's settings, for \-\-config.
.TP
.I /etc/migrator/agent.toml
The settings of a host's agent, for \-\-config.""",
}


def completion(shell: str) -> str:
    """The whole file that ``shell`` loads."""
    top = parser()
    verbs = _verbs(top).choices
    for one in (top, *verbs.values()):
        for action in one._actions:
            if action.dest in _FILES:
                vars(action)["complete"] = shtab.FILE
            elif action.dest == "verb":
                action.choices = sorted(verbs)
    kept = [line.rstrip() for line in shtab.complete(top, shell).splitlines()]
    begin = next(number for number, line in enumerate(kept) if line.startswith("# AUTOMATICALLY"))
    end = kept.index("", begin)  # until then: how the file would be installed
    return "\n".join([*kept[:begin], f"# {_GENERATED}", *kept[end:]]).rstrip() + "\n"


def man_page() -> str:
    """The whole page, roff for man."""
    top = parser()
    verbs = _verbs(top)
    top.formatter_class = _WIDE
    for row in verbs._choices_actions:
        one = verbs.choices[row.dest]
        one.formatter_class, one.description = _WIDE, one.description or row.help
        row.help = None  # else the same sentence stands above the usage, too
    top._positionals.title = "commands"
    page = Manpage(top, format="single-commands-section")
    page.date, page.source, page.manual = "", f"migrator {__version__}", "migrator"
    page.description = "move virtual machines between libvirt/KVM hosts"
    for heading, content in _SECTIONS.items():
        page.add_section(heading, "=", content)
    text = str(page).replace("`", r"\(ga")
    for found, drawn in _LAYOUT.items():
        text = re.sub(found, drawn, text, flags=re.MULTILINE)
    return f'.\\" {_GENERATED}\n{text}'


def _verbs(top: argparse.ArgumentParser) -> Any:
    return next(action for action in top._actions if action.dest == "command")


def write(root: Path) -> None:
    for shell, name in COMPLETIONS.items():
        (root / name).write_text(completion(shell))
    (root / MAN_PAGE).write_text(man_page())
