"""Hours of the day in which nothing is moved. Pure."""

_DAY_MIN = 24 * 60


def quiet_until(hours: str, moment: float) -> str | None:
    """When the quiet hours (``HH:MM-HH:MM``, UTC, also over midnight) that it is in at ``moment`` (s since the epoch)
    end; None: it is in none."""
    if not hours:
        return None
    first, last = hours.split("-")
    begin, end, minute = _minutes(first), _minutes(last), int(moment // 60) % _DAY_MIN
    inside = begin <= minute < end if begin <= end else minute >= begin or minute < end
    return last if inside else None


def _minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)
