"""A connection that breaks, comes back, or never answers."""

import threading
import time
from collections.abc import Callable

import pytest

from migrator.compute.libvirt.bindings.connection_pool import Reconnecting
from migrator.errors import DriverError, HypervisorUnavailable


class WireError(Exception):
    pass


class LostError(WireError):
    pass


class RefusedError(WireError):
    pass


class Wire:
    """A transport whose connections are numbers; ``opens`` says what each attempt to open does."""

    error = WireError

    def __init__(self, *opens: Callable[[], int]) -> None:
        self.opens, self.opened, self.closed = list(opens), 0, list[int]()

    def open(self) -> int:
        self.opened += 1
        return self.opens.pop(0)()

    def close(self, connection: int) -> None:
        self.closed.append(connection)

    def broken(self, connection: int, error: Exception) -> bool:
        return connection not in self.closed and isinstance(error, LostError)

    def translated(self, error: Exception) -> DriverError:
        return DriverError(str(error))


def refuse() -> int:
    raise LostError("connection refused")


def connect(wire: Wire, timeout_s: float = 5) -> Reconnecting[int]:
    return Reconnecting(wire, "the daemon", timeout_s)


def test_one_connection_serves_many_calls() -> None:
    wire = Wire(lambda: 1)
    connection = connect(wire)
    assert [connection.call(lambda c: c) for _ in range(3)] == [1, 1, 1]
    assert wire.opened == 1


def test_a_broken_one_is_replaced_and_the_call_made_again() -> None:
    wire = Wire(lambda: 1, lambda: 2)

    def act(number: int) -> int:
        if number == 1:
            raise LostError("gone")
        return number

    assert connect(wire).call(act) == 2
    assert wire.closed == [1]


def test_two_threads_never_share_one() -> None:
    wire = Wire(lambda: 1, lambda: 2)
    connection = connect(wire)
    met = threading.Barrier(2, timeout=5)

    def act(number: int) -> int:
        met.wait()  # both are at it
        return number

    used: list[int] = []
    threads = [threading.Thread(target=lambda: used.append(connection.call(act))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(used) == [1, 2]
    assert connection.call(lambda number: number) in (1, 2)  # kept for the next call
    connection.close()
    assert sorted(wire.closed) == [1, 2]


def test_when_one_broke_no_other_old_one_is_tried() -> None:
    wire = Wire(lambda: 1, lambda: 2, lambda: 3)
    connection = connect(wire)
    with connection.lent() as first, connection.lent() as second:
        assert (first, second) == (1, 2)

    def act(number: int) -> int:
        if number < 3:
            raise LostError("gone")
        return number

    assert connection.call(act) == 3
    assert sorted(wire.closed) == [1, 2]


def test_what_is_lent_is_closed_when_it_comes_back_to_a_closed_one() -> None:
    wire = Wire(lambda: 1)
    connection = connect(wire)
    with connection.lent():
        connection.close()
        assert wire.closed == []
    assert wire.closed == [1]


def test_a_refusal_is_translated_and_not_tried_again() -> None:
    wire = Wire(lambda: 1)
    calls = []

    def act(number: int) -> None:
        calls.append(number)
        raise RefusedError("no such thing")

    with pytest.raises(DriverError, match="no such thing"):
        connect(wire).call(act)
    assert calls == [1]
    assert wire.closed == []


def test_breaking_twice_is_unavailable() -> None:
    wire = Wire(lambda: 1, lambda: 2)

    def act(number: int) -> None:
        raise LostError(f"gone {number}")

    with pytest.raises(HypervisorUnavailable, match="gone 2"):
        connect(wire).call(act)
    assert wire.closed == [1, 2]


def test_a_daemon_that_is_down_is_asked_again_by_the_next_call() -> None:
    wire = Wire(refuse, lambda: 2)
    connection = connect(wire)
    with pytest.raises(HypervisorUnavailable, match="connection refused"):
        connection.call(lambda c: c)
    assert connection.call(lambda c: c) == 2


def test_a_silent_daemon_costs_all_waiting_threads_one_timeout_and_is_closed_when_it_comes_late() -> None:
    answer = threading.Event()
    wire = Wire(*[lambda: 1 if answer.wait(30) else 0] * 4)
    connection = connect(wire, timeout_s=0.5)
    failures: list[float] = []

    def ask() -> None:
        with pytest.raises(HypervisorUnavailable, match="no answer"):
            connection.call(lambda c: c)
        failures.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(failures) == 4
    assert max(failures) - began < 1.5
    assert wire.opened == 1
    answer.set()
    deadline = time.monotonic() + 5
    while wire.closed != [1] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert wire.closed == [1]
