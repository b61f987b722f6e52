"""What counts as evidence that a silent host runs nothing; a table."""

from types import SimpleNamespace
from typing import Any

import pytest

from migrator.db.hosts import UNDER_WAY_S
from migrator.scheduler.state import fencing
from migrator.settings import ServerSettings

DOWN_AFTER = 60.0
SEEN = 1000.0
FORCED = {"kind": "forced_down", "by": "admin", "at": SEEN, "words": "forced down by admin at noon"}


def row(
    silent: float = 100.0, *, forced: bool = False, said: Any = None, lease: float = 0.0, listening: float = 10**9
) -> Any:
    return SimpleNamespace(
        name="n3",
        forced_down=forced,
        fencing=said,
        silent_s=silent,
        listening_s=listening,
        last_seen=SEEN,
        report={"self_fencing_lease_s": lease},
    )


def forced(at: float) -> Any:
    return FORCED | {"at": at}


def command(at: float) -> Any:
    return {"kind": "fence_command", "by": "server-a", "at": at, "words": "n3 is off"}


NEVER = 10**9
LEASE = 300.0
LAPSED = fencing.lapses_after(LEASE)

CASES = [
    ("heard", row(DOWN_AFTER), None),
    ("heard, fenced before", row(1, said=command(SEEN + 1)), None),
    ("heard, with a lease", row(1, lease=0.001), None),
    ("silent", row(NEVER), None),
    ("heard, forced down at this moment", row(0, forced=True, said=FORCED), "forced_down"),
    ("silent, forced down", row(NEVER, forced=True, said=FORCED), "forced_down"),
    ("forced down, heard by what was under way", row(forced=True, said=forced(SEEN - UNDER_WAY_S)), "forced_down"),
    ("forced down, heard since", row(forced=True, said=forced(SEEN - UNDER_WAY_S - 0.001)), None),
    ("forced down and heard since by the servers' clock", row(forced=True, said=FORCED | {"clock": 1.0}), None),
    (
        "forced down, heard since, its lease lapsed",
        row(LAPSED + 1, forced=True, said=forced(1.0), lease=LEASE),
        "lease",
    ),
    ("forced down before the servers were away", row(forced=True, said=FORCED, listening=99.0), None),
    ("forced down since they are back", row(forced=True, said=FORCED, listening=100.0), "forced_down"),
    ("fenced before the servers were away", row(100, said=command(SEEN + 1), listening=98.9), None),
    ("fenced since they are back", row(100, said=command(SEEN + 1), listening=99.0), "fence_command"),
    ("forced down, nobody knows when", row(forced=True), None),
    ("forced down, a fence command's word beside it", row(forced=True, said=command(SEEN + 1)), "fence_command"),
    ("forced up again, the word left behind", row(said=FORCED), None),
    ("fenced since it was last heard", row(said=command(SEEN)), "fence_command"),
    ("heard since it was fenced", row(said=command(SEEN - 0.001)), None),
    ("lease not lapsed", row(LEASE + 1, lease=LEASE), None),
    ("lease lapsed, but guests are being stopped", row(LAPSED, lease=LEASE), None),
    ("lease lapsed", row(LAPSED + 0.001, lease=LEASE), "lease"),
    ("no lease", row(NEVER, lease=0.0), None),
]


@pytest.mark.parametrize("policy", [False, True])
@pytest.mark.parametrize(("host", "kind"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_evidence(host: Any, kind: str | None, policy: bool) -> None:
    settings = ServerSettings(service_down_time=DOWN_AFTER, evacuate_silent_hosts=policy)
    if policy and kind is None and host.silent_s > DOWN_AFTER:
        kind = "policy"
    found = fencing.evidence(host, settings)
    assert (found.kind if found is not None else None) == kind


def test_it_says_who_vouches_and_why() -> None:
    settings = ServerSettings(service_down_time=DOWN_AFTER)
    found = fencing.evidence(row(forced=True, said=FORCED), settings)
    assert found == fencing.Evidence("forced_down", "admin", "forced down by admin at noon", SEEN)
    fenced = fencing.evidence(row(said=command(SEEN + 1)), settings)
    assert fenced is not None
    assert (fenced.by, fenced.at) == ("server-a", SEEN + 1)
    assert "server-a" in fenced.message
    assert "n3 is off" in fenced.message
    lapsed = fencing.evidence(row(500, lease=LEASE), settings)
    assert lapsed is not None
    assert lapsed.by == "n3"
    assert "not heard for 500 s" in lapsed.message


def test_a_lease_leaves_time_to_stop_the_guests() -> None:
    for lease in (30.0, 300.0, 3600.0):
        assert fencing.lapses_after(lease) >= lease + fencing.STOPPING_S
        assert fencing.lapses_after(lease) >= lease * (1 + fencing.DRIFT)


def test_silence_towards_servers_that_were_away_is_no_evidence() -> None:
    policy = ServerSettings(evacuate_silent_hosts=True, service_down_time=DOWN_AFTER)
    assert fencing.evidence(row(NEVER, listening=DOWN_AFTER), policy) is None
    assert fencing.evidence(row(NEVER, listening=DOWN_AFTER + 1), policy) is not None
    # Only a clock that may have been set tells how long no server listened: a lease lapses while servers listen.
    assert fencing.evidence(row(NEVER, lease=LEASE, listening=LAPSED), ServerSettings()) is None
    assert fencing.evidence(row(NEVER, lease=LEASE, listening=LAPSED + 1), ServerSettings()) is not None
