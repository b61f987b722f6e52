"""Draws ``docs/supported.md`` from the rows of ``migrator/supported*.py``; never writes the file."""

from collections.abc import Iterable

from migrator import supported_requests
from migrator.supported import (
    EXTRA_SPECS,
    HINTS,
    IMAGE_PROPERTIES,
    REFUSED_EXTRA_SPECS,
    REFUSED_FILTERS,
    REFUSED_PROPERTIES,
    UNSCOPED,
    Honoured,
    Refused,
)

_HEAD = """# What is honoured, and what is refused by name

Generated from `migrator/supported.py` and `migrator/supported_requests.py` by `script/docs`; do not edit. What is
refused is answered with 400 and its name before anything is begun: at the creation of a server, and for flavors at a
resize, too. Any other image property, and any extra spec with another scope (`scope:name`), is a label: it is stored
and shown, and changes nothing. A name of these tables in another spelling, by case or blanks, is refused.

## Scheduler hints

`os:scheduler_hints` (`OS-SCH-HNT:scheduler_hints`): those below are honoured, every other hint is refused. They hold in
every build and in every move.

| hint | |
| --- | --- |
{hints}
## A flavor's swap

Only 0: guests get no swap disk.
"""

_BODIES = """## Fields of every body

Actions of a server stand by their names. What is empty or false asks for nothing. A name that is in no row is refused.

| | field | | |
| --- | --- | --- | --- |"""

_FILTERS = """## Filters of lists

`GET /servers`: for administrators every filter that Nova documents is honoured, or refused with 400 and its name. For
others those that Nova opens to them are honoured, and the rest is ignored, as Nova does.

| name | | |
| --- | --- | --- |
"""
_MORE_FILTERS = """
From the microversion on at which Nova refuses a name that it does not know, it is refused here: 2.53 for
`/os-hypervisors`, 2.58 for instance actions, 2.59 for `/os-migrations`, 2.75 for the others; below, it is ignored.
`/v1` always refuses it.

| | names |
| --- | --- |
{queries}
`GET /images`: every attribute and property is compared, with `in:`, `tag`, `size_min`, `size_max`, and comparisons of
`created_at` and `updated_at` as in Glance; any other name is a property's. `limit` (25, at most 100), `marker`, `sort`,
`sort_key`, `sort_dir` and `next` are Glance's, and a wrong one is refused. `member_status` is checked, and changes
nothing: no image has members.
"""


def supported_page() -> str:
    """The whole page, Markdown."""
    specs = _part("Extra specs of flavors", EXTRA_SPECS, (*REFUSED_EXTRA_SPECS, UNSCOPED))
    images = _part("Properties of images", IMAGE_PROPERTIES, REFUSED_PROPERTIES)
    head = _HEAD.format(hints="".join(f"| `{row.name}` | {row.what} |\n" for row in HINTS))
    return "\n".join([head, *specs, *images, *_bodies(), _filters()])


def _bodies() -> Iterable[str]:
    yield _BODIES
    for route, rows in supported_requests.BODIES.items():
        yield from _rows(route, rows)
    for action, rows in supported_requests.ACTIONS.items():
        yield from _rows(action, rows)
    yield "\n## Actions of servers that are refused\n\n| action | |\n| --- | --- |"
    yield from (f"| `{row.name}` | {row.what} |" for row in supported_requests.REFUSED_ACTIONS)
    yield ""


def _rows(place: str, rows: supported_requests.Rows) -> Iterable[str]:
    for row in rows:
        name = row.name.removeprefix(f"{place}.") or "its name"
        yield f"| `{place}` | `{name}` | {_becomes(row)} | {row.what} |"


def _becomes(row: supported_requests.Row) -> str:
    if isinstance(row, Honoured):
        return "honoured" if row.values is None else "only " + ", ".join(value or "empty" for value in row.values)
    return "refused" if isinstance(row, Refused) else "ignored, as Nova does"


def _filters() -> str:
    rows = "".join(f"| `{row.name}` | refused | {row.what} |\n" for row in REFUSED_FILTERS)
    queries = (
        f"| `{route}` | {', '.join(f'`{row.name}`' for row in rows if isinstance(row, Honoured))} |"
        for route, rows in supported_requests.QUERIES.items()
    )
    return _FILTERS + rows + _MORE_FILTERS.format(queries="\n".join(queries))


def _part(title: str, honoured: Iterable[Honoured], refused: Iterable[Refused]) -> Iterable[str]:
    yield f"## {title}\n"
    yield "| name | values | |"
    yield "| --- | --- | --- |"
    for row in honoured:
        yield f"| `{row.name}` | {'any' if row.values is None else ', '.join(row.values)} | {row.what} |"
    for scope in refused:
        name = f"`{scope.name}…`" if scope.name else "name without a scope"
        yield f"| any other {name} | refused | {scope.what} |"
    yield ""
