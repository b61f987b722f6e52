"""Operations come back at the time that was named last, each once."""

from migrator.scheduler.requeue import RequeueSchedule


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_due_comes_in_its_order_and_once() -> None:
    clock = Clock()
    schedule = RequeueSchedule(clock)
    for key, after_s in ((1, 5.0), (2, 1.0), (3, 50.0)):
        schedule.put(key, after_s)
    assert schedule.take_due() == []
    clock.now += 5
    assert schedule.take_due() == [2, 1]
    assert schedule.take_due() == []


def test_the_time_that_was_named_last_counts() -> None:
    clock = Clock()
    schedule = RequeueSchedule(clock)
    schedule.put(1, 1.0)
    schedule.put(1, 30.0)
    schedule.put(2, 1.0)
    schedule.put(2, None)
    clock.now += 2
    assert schedule.take_due() == []
    clock.now += 30
    assert schedule.take_due() == [1]
