"""The client's subcommands: nova's verbs over HTTP."""

from typing import Any


def add(subparsers: Any) -> None:
    """Add every verb to the command line."""
