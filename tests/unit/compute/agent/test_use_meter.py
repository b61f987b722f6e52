"""Averages of what is used: from counters that only grow, begin anew, or are not told."""

import pytest

from migrator.compute.agent.use_meter import READING_S, WINDOW_S, UseMeter
from migrator.compute.use_counters import GuestCounters, HostCounters


class Meter:
    """A meter whose counters and clock a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.counters = HostCounters(0.0, 0, {})
        self.meter = UseMeter(lambda: self.counters, lambda: self.now)

    def tell(self, now: float, host_s: float, guests: dict[str, tuple[float, float, int]] | None) -> None:
        self.now = now
        told = None if guests is None else {uuid: GuestCounters(*numbers) for uuid, numbers in guests.items()}
        self.counters = HostCounters(host_s, 1000 + int(now), told)
        self.meter.sample()


@pytest.fixture
def meter() -> Meter:
    return Meter()


def test_an_average_is_the_growth_over_the_time_between(meter: Meter) -> None:
    meter.tell(100, 50, {"a": (10, 1, 64)})
    assert (meter.meter.host(), meter.meter.guests()) == (None, {})
    meter.tell(100 + READING_S / 2, 9999, {})  # it is too soon: nothing is read
    meter.tell(140, 130, {"a": (30, 5, 128)})
    host, guest = meter.meter.host(), meter.meter.guests()["a"]
    assert host is not None
    assert (host.over_s, host.cpus, host.memory_mb) == (40, 2.0, 1120)
    assert (guest.over_s, guest.cpus, guest.waiting_cpus, guest.memory_mb) == (40, 0.5, 0.1, 96)


def test_a_counter_that_begins_anew_begins_a_new_average(meter: Meter) -> None:
    meter.tell(0, 1000, {"a": (500, 0, 64)})
    meter.tell(20, 1010, {"a": (510, 0, 64)})
    meter.tell(40, 2, {"a": (1, 0, 64)})
    assert (meter.meter.host(), meter.meter.guests()) == (None, {})
    meter.tell(60, 12, {"a": (21, 0, 64)})
    host = meter.meter.host()
    assert host is not None
    assert (host.over_s, host.cpus) == (20, 0.5)
    assert meter.meter.guests()["a"].cpus == 1.0


def test_a_guest_that_was_away_is_averaged_since_it_is_back(meter: Meter) -> None:
    meter.tell(0, 0, {"a": (0, 0, 64)})
    meter.tell(20, 1, {})
    meter.tell(40, 2, {"a": (100, 0, 64)})
    assert meter.meter.guests() == {}
    meter.tell(60, 3, {"a": (110, 0, 64)})
    assert meter.meter.guests()["a"].cpus == 0.5


def test_guests_that_are_not_told_have_no_average_and_the_host_has_one(meter: Meter) -> None:
    meter.tell(0, 0, {"a": (0, 0, 64)})
    meter.tell(20, 20, None)
    assert meter.meter.guests() == {}
    host = meter.meter.host()
    assert host is not None
    assert host.cpus == 1.0


def test_an_average_goes_back_no_further_than_its_window(meter: Meter) -> None:
    for turn in range(60):
        meter.tell(turn * READING_S, 0 if turn < 30 else (turn - 30) * READING_S, {})
    host = meter.meter.host()
    assert host is not None
    assert host.over_s == WINDOW_S
    assert host.cpus == 1.0
