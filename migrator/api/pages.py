"""A page of rows that are all at hand, as /v1 gives them out: those after a marker. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrator.errors import BadRequest


def page(
    rows: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str], limit: int, marker: str | None
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """Of rows in their order those after the one that ``marker`` names, and the marker of the next page; None: there is
    none. Raises BadRequest for a row that is not there."""
    keys = [key(row) for row in rows]
    if marker is not None and marker not in keys:
        raise BadRequest(f"marker [{marker[:300]}] not found", advice="begin again without a marker")
    # Of several that go by one name the last: otherwise they would be answered again and again.
    begin = len(keys) - keys[::-1].index(marker) if marker is not None else 0
    end = begin + limit
    return rows[begin:end], keys[end - 1] if end < len(rows) else None
