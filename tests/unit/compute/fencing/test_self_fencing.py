"""A lapsed lease stops every guest, and nothing is started while it has lapsed."""

import threading
from typing import cast

import pytest

from migrator.compute.driver import Driver
from migrator.compute.fencing.self_fencing import LeaseLapsed, SelfFencing, leased
from migrator.protocol import DomainState
from tests.unit.compute.fencing.fenced_host import LENGTH, SPEC, Host, Site, guard, until


def test_every_guest_is_stopped_and_again_until_none_runs(site: Site) -> None:
    host = Host()
    fencing = guard(site, host)
    fencing.tick()
    assert host.destroyed == []
    site.now += LENGTH + 1
    fencing.tick()
    assert host.living() == {"paused"}
    assert fencing.lease.lapsed()
    fencing.lease.renew(site.now)
    fencing.tick()
    assert host.living() == set()
    assert not fencing.lease.lapsed(), "nothing runs, and the server was heard"
    host.states["running"] = DomainState.RUNNING
    fencing.tick()
    assert host.living() == {"running"}, "guests may run again"


def test_a_lapse_that_nobody_noticed_in_time_counts(site: Site) -> None:
    host = Host()
    fencing = guard(site, host)
    site.now += LENGTH + 1  # the whole process slept
    fencing.lease.renew(site.now)
    fencing.tick()
    assert "running" in host.destroyed


def test_what_comes_later_is_stopped_too(site: Site) -> None:
    host = Host()
    host.states = {}
    fencing = guard(site, host)
    site.now += LENGTH + 1
    fencing.tick()
    host.states["late"] = DomainState.INCOMING
    fencing.tick()
    assert host.living() == set()


def test_nothing_is_started_while_it_has_lapsed(site: Site) -> None:
    host, lease = Host(), site.told()
    driver = leased(cast(Driver, host), lease)
    driver.define_and_start(SPEC, "op", 1)
    site.now += LENGTH + 1
    for start in (driver.define_and_start, driver.restore_memory):
        with pytest.raises(LeaseLapsed):
            start(SPEC, "op", 1)
    assert host.started == ["u"]
    assert len(driver.list_copies()) == 4, "what only looks is let through"


def test_guests_are_stopped_while_the_storage_hangs(site: Site) -> None:
    """The network is lost as a whole, often: to the server and to the storage."""
    host = Host()
    host.stubborn, host.storage_hangs = set(), True
    lease = site.told()
    site.now += LENGTH + 1
    SelfFencing(lease, cast(Driver, host), None).tick()
    assert host.living() == set()


def test_the_thread_stops_guests_before_begin_returns_and_outlives_failures(site: Site) -> None:
    host = Host()
    host.stubborn = set()
    site.told()
    site.now += LENGTH + 1
    fencing = SelfFencing(site.lease(), cast(Driver, host), None)
    fencing.begin(5)
    assert host.living() == set()
    host.away = True
    until(lambda: fencing.lease.lapsed())
    host.states["late"], host.away = DomainState.RUNNING, False
    until(lambda: host.living() == set())
    fencing.end(withdrawn=False)


def test_without_a_lease_there_is_no_thread(site: Site) -> None:
    before = set(threading.enumerate())  # threads of earlier tests may end at any moment
    fencing = SelfFencing(site.lease(0), cast(Driver, Host()), None)
    fencing.begin(5)
    assert set(threading.enumerate()) <= before
    fencing.end(withdrawn=True)
