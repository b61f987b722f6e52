"""Only who has the key can make a seal, and a seal is good for one instance, operation, epoch and host."""

import pytest

from migrator.protocol import MAX_SEAL
from migrator.scheduler.state.stamps import issued_for, sign

KEY = b"k" * 32
STAMP = ("instance", "operation", 3)
SEAL = sign(KEY, *STAMP, "n1")


def test_a_seal_names_the_host_that_it_was_issued_for() -> None:
    assert issued_for(KEY, *STAMP, SEAL) == "n1"
    assert issued_for(KEY, *STAMP, sign(KEY, *STAMP, "rack.1.example.org")) == "rack.1.example.org"


@pytest.mark.parametrize(
    "stamp",
    [("other", "operation", 3), ("instance", "other", 3), ("instance", "operation", 4), ("instance", None, 3)],
)
def test_a_seal_is_good_for_nothing_else(stamp: tuple[str, str | None, int]) -> None:
    assert issued_for(KEY, *stamp, SEAL) is None
    assert issued_for(KEY, "instance", "operation", None, SEAL) is None
    assert issued_for(b"another key", *STAMP, SEAL) is None


@pytest.mark.parametrize(
    "seal",
    ["", ".", "..", "1..n1", "1." + "0" * 64 + ".n1", SEAL[:-1] + "9", "2" + SEAL[1:], "1.\u00e9\u00e9.n1", "x" * 400],
)
def test_what_was_made_up_is_no_seal(seal: str) -> None:
    assert issued_for(KEY, *STAMP, seal) is None


def test_parts_cannot_be_shifted_from_one_field_into_another() -> None:
    assert sign(KEY, "a", "bc", 1, "h").split(".")[1] != sign(KEY, "ab", "c", 1, "h").split(".")[1]


def test_the_longest_seal_fits_the_protocol() -> None:
    assert len(sign(KEY, "i" * 36, "o" * 36, 2**31, "h" * 255)) <= MAX_SEAL
