"""Refuses names in a query of ``/v1`` that its route does not read: a misspelt filter would answer with everything.

Owns nothing but that rule; which names a route reads stands in its handler. The Compute API has schemas of its own.
"""

from fastapi import Request
from fastapi.dependencies.models import Dependant

from migrator.api.json_schema import shortened
from migrator.errors import BadRequest

_MOST_NAMED = 10


async def known_only(request: Request) -> None:  # not worth a thread, as a plain function would get
    """A dependency of every route. Raises BadRequest that says which names there are."""
    asked = set(request.query_params.keys())
    if not asked:
        return
    known = _names(request.scope["route"].dependant)
    if unknown := sorted(asked - known)[:_MOST_NAMED]:
        names = ", ".join(shortened(repr(name)) for name in unknown)
        raise BadRequest(f"Unknown in the query: {names}; known here: {', '.join(sorted(known)) or 'nothing'}.")


def _names(handler: Dependant) -> set[str]:
    """Those that a handler and what it depends on read."""
    own = {field.alias for field in handler.query_params}
    return own.union(*map(_names, handler.dependencies))
