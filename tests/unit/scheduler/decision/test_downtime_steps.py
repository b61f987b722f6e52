"""The curves of the permitted downtime, and the data that their delays are counted with."""

import pytest

from migrator.scheduler.decision.downtime_steps import GIB, Curve, data_gib, downtime_steps

TALK = [37, 38, 39, 42, 46, 55, 70, 98, 148, 238, 400]
NOVA_15 = [40, 76, 112, 148, 184, 220, 256, 292, 328, 364, 400]


@pytest.mark.parametrize(("curve", "expected"), [("exponential", TALK), ("linear", NOVA_15)])
def test_the_worked_examples(curve: Curve, expected: list[int]) -> None:
    found = downtime_steps(400, 10, 30, 3, curve)
    assert [ms for _, ms in found] == expected
    assert [s for s, _ in found] == list(range(0, 901, 90))


def test_novas_defaults_of_today() -> None:
    found = downtime_steps(500, 10, 75, 3, "linear")
    assert [ms for _, ms in found] == list(range(50, 501, 45))
    assert found[1][0] == 225


@pytest.mark.parametrize("curve", ["exponential", "linear"])
@pytest.mark.parametrize("steps", [3, 4, 10, 97])
@pytest.mark.parametrize("most", [100, 101, 400, 500, 4001, 60_000])
def test_every_curve_rises_to_what_is_allowed(curve: Curve, steps: int, most: int) -> None:
    found = downtime_steps(most, steps, 10, 2.5, curve)
    times, values = zip(*found, strict=True)
    assert len(found) == steps + 1
    assert values[-1] == most
    assert list(values) == sorted(values)
    assert values[0] >= 1
    assert times == tuple(range(0, 25 * steps + 1, 25))


@pytest.mark.parametrize(
    ("memory_mb", "disks", "expected"),
    [(512, (), 2), (3072, (), 3), (3072, (10 * GIB,), 13), (1024, (GIB, 5 * GIB), 9), (2560, (), 2.5)],
)
def test_the_data_that_is_counted(memory_mb: int, disks: tuple[int, ...], expected: float) -> None:
    assert data_gib(memory_mb, disks) == expected
