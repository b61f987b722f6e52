"""What the servers do about silent hosts, and whose word on an instance's policy counts."""

from dataclasses import replace

import pytest

from migrator.errors import BadRequest
from migrator.scheduler.fleet.plan import ha_policy
from migrator.scheduler.fleet.plan.ha_policy import HA_KEY, policy_of
from migrator.scheduler.fleet.plan.loss_response import Act, Loss, Rules, SilentHost, in_vain, lost_together, respond

RULES = Rules(max_lost=1, fences=False, silence_s=120.0)
FENCING = replace(RULES, fences=True)
LOST = SilentHost("n1", 100.0, 3, wanted="What would count: a word.")
PROVEN = replace(LOST, evidence="its lease lapsed")
EMPTY = SilentHost("n2", 100.0, 0)


def acts(*hosts: SilentHost, rules: Rules = RULES) -> dict[str, Act]:
    return {one.host: one.act for one in respond(hosts, rules)}


def test_a_lost_host_is_recovered_with_evidence_alone() -> None:
    assert acts(PROVEN) == {"n1": Act.RECOVER}
    (held,) = respond([LOST], RULES)
    assert (held.act, held.held) == (
        Act.NOTHING,
        "host n1 is silent, but nothing says that its guests do not run any more. What would count: a word.",
    )


@pytest.mark.parametrize(
    "host",
    [
        replace(PROVEN, instances=0),
        replace(PROVEN, awaited=True),
        replace(PROVEN, early=True),
        replace(PROVEN, loss=Loss.RECOVERING),
        replace(LOST, loss=Loss.RECOVERING, paused=True, silent_s=121.0),
        replace(LOST, loss=Loss.STALLED, silent_s=121.0),
        replace(PROVEN, loss=Loss.OVER),
        replace(PROVEN, loss=Loss.TAKEN),
    ],
)
def test_a_host_without_anything_to_recover_or_that_has_an_answer_gets_none(host: SilentHost) -> None:
    assert acts(host, rules=FENCING) == {}


def test_another_drain_is_ended_first() -> None:
    assert acts(replace(PROVEN, drain="drain u1")) == {"n1": Act.END_DRAIN}


def test_the_servers_fence_only_where_they_shall_and_after_the_silence() -> None:
    late = replace(LOST, silent_s=121.0)
    assert acts(late) == {"n1": Act.NOTHING}
    assert acts(LOST, rules=FENCING) == {"n1": Act.NOTHING}
    assert acts(late, rules=FENCING) == {"n1": Act.FENCE}
    assert acts(replace(late, fenced_s=3599.0), rules=FENCING) == {"n1": Act.NOTHING}, "it came back, and is lost again"
    assert acts(replace(late, fenced_s=3600.0), rules=FENCING) == {"n1": Act.FENCE}
    (failed,) = respond([replace(late, fence_failed="exit code 3")], FENCING)
    assert failed.held.endswith("The fence command is run for it. It failed: exit code 3")


@pytest.mark.parametrize("host", [PROVEN, replace(LOST, silent_s=1000.0)])
def test_nothing_is_recovered_or_fenced_while_more_hosts_are_silent_than_ha_max_lost(host: SilentHost) -> None:
    assert acts(host, EMPTY, rules=FENCING) == {"n1": Act.NOTHING}
    assert acts(host, EMPTY, rules=replace(FENCING, max_lost=2))["n1"] in (Act.RECOVER, Act.FENCE)
    (held,) = respond([host, EMPTY], RULES)
    assert held.held == "2 hosts are silent together (n1, n2), and ha_max_lost is 1"


@pytest.mark.parametrize(
    ("host", "counts"),
    [
        (EMPTY, True),
        (replace(EMPTY, awaited=True), True),
        (replace(EMPTY, early=True, silent_s=21.0), True),
        (replace(EMPTY, silent_s=3600.0, recorded=2), True),
        (replace(EMPTY, closed=True, recorded=2), True),
        (replace(EMPTY, silent_s=3600.0), False),
        (replace(EMPTY, closed=True), False),
        (replace(PROVEN, closed=True, silent_s=9999.0), True),
        (replace(PROVEN, loss=Loss.RECOVERING), True),
        (replace(PROVEN, loss=Loss.STALLED, recorded=3), False),
        (replace(PROVEN, loss=Loss.OVER, recorded=3), False),
        (replace(PROVEN, loss=Loss.TAKEN, recorded=3), False),
    ],
)
def test_which_hosts_count_as_silent_together(host: SilentHost, counts: bool) -> None:
    assert bool(lost_together([host])) is counts


@pytest.mark.parametrize("loss", [Loss.STALLED, Loss.OVER, Loss.TAKEN])
def test_hosts_that_are_lost_one_after_another_are_not_all_fenced(loss: Loss) -> None:
    late, before = replace(LOST, silent_s=121.0), SilentHost("n0", 3599.0, 0, loss)
    (held,) = respond([before, late], FENCING)
    assert (held.act, held.held.partition("a word. ")[2]) == (
        Act.NOTHING,
        "The servers do not fence it: 2 hosts were lost within an hour or together (n0, n1), and ha_max_lost is 1.",
    )
    assert acts(replace(before, silent_s=3600.0), late, rules=FENCING) == {"n1": Act.FENCE}
    assert acts(before, PROVEN, rules=FENCING) == {"n1": Act.RECOVER}, "evidence is enough for what fences nothing"


def test_a_recovery_that_lost_its_evidence_is_fenced_for_again() -> None:
    void = replace(LOST, loss=Loss.RECOVERING, silent_s=121.0)
    assert acts(void, rules=FENCING) == {"n1": Act.FENCE}
    assert acts(void, rules=RULES) == {}
    assert acts(void, EMPTY, rules=FENCING) == {}
    assert acts(replace(void, awaited=True), rules=FENCING) == {}


def test_a_host_that_is_fenced_for_nothing_is_named_with_each_reason_once() -> None:
    found = in_vain("n1", ["no room", "no room", "local disks"])
    told = "none of its instances could be evacuated (no room; local disks)"
    assert (found.act, found.held) == (Act.NOTHING, f"host n1 is silent, and is not fenced: {told}")


@pytest.mark.parametrize(
    ("metadata", "aggregates", "fleet", "policy"),
    [
        ({}, (), "off", "off"),
        ({}, (), "evacuate", "evacuate"),
        ({}, ("evacuate",), "off", "evacuate"),
        ({}, ("evacuate", "restart"), "evacuate", "restart"),
        ({HA_KEY: "evacuate"}, ("off",), "evacuate", "off"),
        ({HA_KEY: "evacuate"}, (), "off", "off"),
        ({HA_KEY: "evacuate"}, ("restart",), "off", "restart"),
        ({HA_KEY: "evacuate"}, ("evacuate",), "off", "evacuate"),
        ({HA_KEY: "off"}, (), "evacuate", "off"),
        ({HA_KEY: "restart"}, ("evacuate",), "evacuate", "restart"),
        ({HA_KEY: "on"}, ("evacuate",), "evacuate", "off"),
        ({}, ("evacuate", "yes"), "evacuate", "off"),
    ],
)
def test_operators_say_the_policy_and_metadata_only_what_is_more_careful(
    metadata: dict[str, str], aggregates: tuple[str, ...], fleet: str, policy: str
) -> None:
    answer = policy_of(metadata, aggregates, fleet)
    assert answer.policy == policy
    for word in ("on", "yes"):
        if word in (*metadata.values(), *aggregates):
            assert word in answer.message
            assert "expected is one of off, restart, evacuate" in answer.message


def test_a_word_of_metadata_that_does_not_count_is_named() -> None:
    told = "migrator:ha of its host's aggregate is off; evacuate of its metadata does not count, for it is less careful"
    assert policy_of({HA_KEY: "evacuate"}, ("off",), "evacuate").message == told
    assert policy_of({HA_KEY: "off"}, ("off",), "off").message == "migrator:ha of its metadata is off"


def test_a_word_that_is_no_policy_is_refused_where_it_is_written() -> None:
    ha_policy.check({HA_KEY: "restart", "other": "x"})
    ha_policy.check({HA_KEY: None})
    with pytest.raises(BadRequest, match="migrator:ha = on is no policy: expected one of off, restart, evacuate"):
        ha_policy.check({HA_KEY: "on"})
