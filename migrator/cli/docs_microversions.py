"""Draws ``docs/microversions.md`` from the history of microversions and the table of URLs; never writes the file."""

from collections.abc import Iterable

from migrator.api import microversions
from migrator.api.microversion_history import HISTORY
from migrator.api.urls import COMPUTE

_HEAD = """# Microversions

Generated from `migrator/api/microversion_history.py` and `migrator/api/urls.py` by `script/docs`; do not edit. The
Compute API speaks {least} to {most}. *Not served*: the microversion changes only something that this server does not
have. *Refused by name*: what it adds to a request is answered with 400 and its name.

| microversion | | change |
| --- | --- | --- |
"""
_ROUTES = """
## Requests of some microversions only

Outside of the range the answer is 404.

| request | from | to |
| --- | --- | --- |
"""


def microversions_page() -> str:
    """The whole page, Markdown."""
    head = _HEAD.format(least=microversions.text(microversions.MINIMUM), most=microversions.text(microversions.MAXIMUM))
    rows = (f"| {microversions.text(v)} | {change.kind} | {change.what} |\n" for v, change in HISTORY.items())
    return "".join([head, *rows, _ROUTES, *_routes()])


def _routes() -> Iterable[str]:
    for route in COMPUTE:
        if (route.since, route.until) != (microversions.MINIMUM, microversions.MAXIMUM):
            since, until = microversions.text(route.since), microversions.text(route.until)
            yield f"| `{route.method} {route.path}` | {since} | {until} |\n"
