"""Quiet hours: when they are, and until when."""

import pytest

from migrator.scheduler.fleet.balance.quiet_hours import quiet_until

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("hours", "hour", "until"),
    [
        ("", 12.0, None),
        ("08:00-18:30", 7.99, None),
        ("08:00-18:30", 8.0, "18:30"),
        ("08:00-18:30", 18.5, None),
        ("22:00-06:00", 23.0, "06:00"),
        ("22:00-06:00", 5.9, "06:00"),
        ("22:00-06:00", 6.0, None),
    ],
)
def test_quiet_hours_hold_within_the_day_and_over_midnight(hours: str, hour: float, until: str | None) -> None:
    assert quiet_until(hours, 20_000 * 24 * HOUR_S + hour * HOUR_S) == until
