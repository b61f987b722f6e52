"""Dates as the APIs write and read them: ISO 8601, in UTC. Pure."""

from datetime import UTC, datetime
from functools import lru_cache

from migrator.errors import BadRequest


@lru_cache(maxsize=65536)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_z(moment: float | None) -> str | None:
    """'2026-11-22T18:35:45Z': dates of a server's own."""
    return None if moment is None else _second(int(moment)) + "Z"


def iso_us(moment: float | None) -> str | None:
    """'2026-11-22T18:35:45.000000': dates of records, which have no fraction in this API."""
    return None if moment is None else _second(int(moment)) + ".000000"


def moment(name: str, value: str) -> float:
    """ISO 8601 to seconds since the epoch; UTC when no zone is named. Raises BadRequest."""
    try:
        parsed = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"Invalid input for query parameters {name}. Value: {value}. '{value}' is not a 'date-time'"
        ) from error
