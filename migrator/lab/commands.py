"""What ``migrator lab up|down|status`` does; the command line itself is parsed in ``migrator.cli``.

Every function takes an ``argparse.Namespace`` with ``name``, ``hosts``, ``state_dir`` and ``tls``, all optional.
"""

import argparse
import sys
from typing import Any

from migrator.lab.lab import Lab


def up(args: argparse.Namespace) -> dict[str, Any]:
    """Bring the lab up, telling stderr how far it is; gives its status. Raises LabError."""
    lab = _lab(args)
    lab.up(_tell)
    return lab.status()


def down(args: argparse.Namespace) -> None:
    """Remove the lab, whatever is left of it. Raises LabError when a process does not end."""
    _lab(args).down(_tell)


def status(args: argparse.Namespace) -> dict[str, Any]:
    """See ``Lab.status``."""
    return _lab(args).status()


def _lab(args: argparse.Namespace) -> Lab:
    return Lab(
        getattr(args, "name", None) or "lab",
        getattr(args, "hosts", None) or 3,
        getattr(args, "state_dir", None),
        tls=getattr(args, "tls", False),
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
