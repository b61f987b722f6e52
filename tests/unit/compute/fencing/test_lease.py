"""The self-fencing lease: what it promises, and how it survives its agent."""

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.errors import SettingInvalid
from migrator.settings import AgentSettings, load
from tests.unit.compute.fencing.fenced_host import LENGTH, Site


def test_it_is_counted_from_the_sending_of_the_last_answered_poll(site: Site) -> None:
    lease = site.told()
    sent = site.now = 1200.0
    site.now = 1225.0  # the answer took its time
    lease.renew(sent)
    site.now = sent + LENGTH
    assert not lease.lapsed()
    site.now += 0.001
    assert lease.lapsed()


def test_without_a_promise_nothing_lapses(site: Site) -> None:
    lease = site.lease()
    site.now += 10**9
    assert not lease.lapsed()
    lease.promise()
    assert not lease.lapsed(), "the count begins with the promise"
    off = Site(None).told(0)
    assert off.length_s == 0
    assert not off.lapsed()


def test_a_promise_that_stands_needs_no_room_on_the_disk(site: Site) -> None:
    """A host that describes itself anew, and whose disk is full, would fall silent and stop its guests for that."""
    lease = site.told()
    assert site.path is not None
    site.path.with_suffix(".new").mkdir()  # nothing can be written there
    site.now += 10
    lease.renew(site.now)
    lease.promise()
    lease.promised(LENGTH)
    with pytest.raises(OSError, match="directory"):
        lease.promised(LENGTH / 2)


def test_a_promise_is_kept_for_the_boot_that_it_is_given_in(site: Site) -> None:
    site.told()
    site.boot, site.now = "boot-2", 5.0
    site.told()
    site.now += LENGTH + 1
    assert site.lease().lapsed(), "the agent died at once, and the next one is of the same boot"


def test_once_lapsed_it_is_lapsed_until_the_guests_are_stopped(site: Site) -> None:
    lease = site.told()
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.renew(site.now)
    assert lease.lapsed(), "the guests may run elsewhere by now"
    lease.stopped()
    assert not lease.lapsed(), "heard meanwhile"
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.stopped()
    assert lease.lapsed(), "not heard since"


def test_a_promise_counts_before_the_server_has_answered(site: Site) -> None:
    lease = site.lease()
    lease.promise()
    site.now += LENGTH + 1
    assert lease.lapsed()


@pytest.mark.parametrize(("old", "new", "expected_s"), [(300, 600, 300), (600, 300, 300), (300, 0, 300)])
def test_of_two_lengths_that_the_server_may_believe_the_shorter_counts(
    site: Site, old: float, new: float, expected_s: float
) -> None:
    site.told(old)
    lease = site.lease(new)
    assert lease.length_s == old
    lease.promise()
    assert lease.length_s == expected_s
    lease.promised(new)
    assert lease.length_s == new


@pytest.mark.parametrize(("old", "new", "lapses"), [(300, 600, 300), (600, 300, 300), (300, 0, 300)])
def test_while_the_server_may_believe_either_length_guests_stop_after_the_shorter(
    site: Site, old: float, new: float, lapses: float
) -> None:
    site.told(old)
    lease = site.lease(new)
    lease.promise()
    site.now += lapses
    assert not lease.lapsed()
    site.now += 0.001
    assert lease.lapsed()


def test_a_restarted_agent_finds_it_lapsed(site: Site) -> None:
    site.told()
    site.now += LENGTH + 1
    assert site.lease().lapsed()
    assert site.lease(0).lapsed(), "whatever the setting says now"


def test_a_restarted_agent_counts_on(site: Site) -> None:
    lease = site.told()
    site.now += 200
    lease.renew(site.now)
    site.now += 200
    again = site.lease()
    assert not again.lapsed()
    site.now += 101
    assert again.lapsed()


def test_what_is_kept_is_never_newer_than_the_truth(site: Site) -> None:
    lease = site.told()
    assert site.path is not None
    for _ in range(200):
        site.now += 3
        lease.renew(site.now)
        kept = json.loads(site.path.read_text())["contact"]
        assert site.now - LENGTH / 10 < kept <= site.now
    writes = site.path.stat().st_ino
    site.now += 1
    lease.renew(site.now)
    assert site.path.stat().st_ino == writes, "not written at each poll"


def test_a_poll_that_was_answered_while_lapsed_is_not_kept(site: Site) -> None:
    lease = site.told()
    site.now += LENGTH + 1
    assert lease.lapsed()
    lease.renew(site.now)
    assert site.lease().lapsed(), "killed before it had stopped the guests"


def test_after_a_reboot_it_has_lapsed_until_the_server_is_heard_and_nothing_runs(site: Site) -> None:
    """Nothing runs that ran before; a guest started since, as by libvirt-guests, is stopped."""
    site.told()
    site.boot, site.now = "boot-2", 5.0
    lease = site.lease()
    assert lease.lapsed()
    lease.stopped()
    assert lease.lapsed(), "the server has not been heard"
    lease.renew(site.now)
    lease.stopped()
    assert not lease.lapsed()
    assert lease.length_s == LENGTH
    site.now += LENGTH + 1
    assert lease.lapsed()


def test_a_reboot_without_a_promise_lapses_nothing(site: Site) -> None:
    site.boot, site.now = "boot-2", 5.0
    assert not site.told().lapsed()


@pytest.mark.parametrize("registers", [True, False])
def test_a_lost_file_counts_as_lapsed(site: Site, registers: bool) -> None:
    site.told().renew(site.now)
    assert site.path is not None
    site.path.unlink()
    lease = site.lease()
    if registers:
        lease.promise()  # tried, and the server does not answer
    assert lease.lapsed()
    assert site.lease().lapsed(), "nor does a second start help"


def test_a_first_start_needs_nothing_but_the_server(tmp_path: Path) -> None:
    """Nothing of ours runs, so nothing is stopped; and nothing is started before the server was heard."""
    site = Site(None)
    site.path = tmp_path / "new" / "lease"
    lease = site.told()
    assert lease.lapsed()
    lease.renew(site.now)
    lease.stopped()
    assert not lease.lapsed()


def test_an_agent_without_a_lease_keeps_that_nothing_was_promised(tmp_path: Path) -> None:
    site = Site(None)
    site.path = tmp_path / "lease"
    site.told(0)
    assert not site.told(LENGTH).lapsed(), "the setting is new, and guests that run go on"


def test_a_lease_under_another_name_is_not_renewed(site: Site) -> None:
    site.told()
    site.now += 20
    again = site.lease(host="n9")
    again.promise()
    again.promised(LENGTH)
    while site.now < 1000 + LENGTH:
        again.renew(site.now)
        assert not again.lapsed()
        site.now += 30
    again.renew(site.now)
    assert again.lapsed(), "for the server n1's has lapsed"
    assert site.lease(host="n9").lapsed(), "a restarted agent knows, too"
    again.stopped()
    again.renew(site.now)
    assert not again.lapsed()
    site.now += LENGTH / 2
    assert not again.lapsed()


def test_a_file_of_the_release_before_is_believed(site: Site) -> None:
    assert site.path is not None
    site.path.write_text(json.dumps({"boot": "boot-1", "contact": 990.0, "believed": [LENGTH]}))
    assert not site.lease().lapsed()
    assert site.lease().length_s == LENGTH


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"boot": "boot-1"}'])
def test_a_damaged_file_counts_as_lapsed(site: Site, damage: str) -> None:
    site.told()
    assert site.path is not None
    site.path.write_text(damage)
    assert site.lease().lapsed()


def test_a_disk_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = site.told()
    monkeypatch.setattr("os.replace", full)
    site.now += 200
    lease.renew(site.now)
    assert not lease.lapsed(), "the running agent knows better than the file"
    with pytest.raises(OSError, match="full"):
        lease.promised(0)
    site.now += 200
    assert site.lease().lapsed(), "the file is older, and on the safe side"


def full(*_given: Any) -> None:
    raise OSError("full")


@pytest.mark.parametrize(("value", "good"), [(0, True), (30, True), (29.9, False), (-1, False), ("inf", False)])
def test_the_setting(value: Any, good: bool) -> None:
    if good:
        assert load(AgentSettings, self_fencing_lease=value).self_fencing_lease == value
        return
    with pytest.raises(SettingInvalid, match=r"self_fencing_lease = .*0 \(never\), or at least 30 \(s\)"):
        load(AgentSettings, self_fencing_lease=value)
