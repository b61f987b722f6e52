"""An extra spec and an aggregate's value: equal, or as Nova's operators compare them."""

import pytest

from migrator.scheduler.checks.aggregates import HostAggregates, matches, refusal


@pytest.mark.parametrize(
    ("value", "wanted", "fits"),
    [
        ("true", "true", True),
        ("true", "false", False),
        ("8", ">= 4", True),
        ("8", "<= 4", False),
        ("8", "= 4", True),
        ("8", "== 8.0", True),
        ("8", "!= 8", False),
        ("eight", ">= 4", False),
        ("ssd", "s== ssd", True),
        ("ssd", "s!= ssd", False),
        ("a", "s< b", True),
        ("b", "s>= b", True),
        ("fast ssd", "<in> ssd", True),
        ("hdd", "<or> ssd <or> hdd", True),
        ("tape", "<or> ssd <or> hdd", False),
        ("", "", True),
    ],
)
def test_a_value_fits_or_not(value: str, wanted: str, fits: bool) -> None:
    assert matches(value, wanted) is fits


def test_each_key_is_wanted_and_one_value_of_it_is_enough() -> None:
    has = {"a": {"ssd": frozenset({"true", "nvme"}), "rack": frozenset({"1"})}}
    found = HostAggregates(specs={"ssd": "nvme", "rack": "1"}, metadata=has)
    assert refusal("a", found) is None
    assert refusal("b", found) == (
        "no aggregate of it has what the flavor asks for: rack 1 (it has none), ssd nvme (it has none)"
    )
