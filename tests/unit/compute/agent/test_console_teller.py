"""Which pieces of consoles' logs an agent tells, and in which order."""

import pytest

from migrator.compute.agent.console_teller import ConsoleTeller
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import CONSOLE_BYTES, PIECE_BYTES, PIECES_BYTES

MANY = [f"0b6d5a4e-8f4b-4d0c-9a57-6f5f5c1f{number:04}" for number in range(10)]
ONE = MANY[0]


class Guests:
    def __init__(self) -> None:
        simulation = SimulatedCluster(lambda: 1000.0)
        self._host = simulation.add_host("n0")
        self.teller = ConsoleTeller(SimulatedHypervisor("n0", simulation))

    def write(self, uuid: str, content: bytes) -> None:
        self._host.consoles[uuid] = self._host.consoles.get(uuid, b"") + content

    def told(self) -> list[tuple[str, int, bytes]]:
        pieces = self.teller.untold()
        self.teller.told(pieces)
        return [(piece.instance, piece.start, piece.content) for piece in pieces]


@pytest.fixture
def guests() -> Guests:
    return Guests()


def test_each_byte_is_told_once(guests: Guests) -> None:
    assert guests.told() == []
    guests.write(ONE, b"one\n")
    assert guests.told() == [(ONE, 0, b"one\n")]
    assert guests.told() == []
    guests.write(ONE, b"two\n")
    assert guests.told() == [(ONE, 4, b"two\n")]


def test_what_the_server_did_not_take_is_told_again(guests: Guests) -> None:
    guests.write(ONE, b"one\n")
    assert len(guests.teller.untold()) == 1
    assert guests.told() == [(ONE, 0, b"one\n")]


def test_of_a_long_log_the_newest_bytes_are_told_piece_by_piece(guests: Guests) -> None:
    guests.write(ONE, bytes(1_000_000))
    told = [guests.told()[0] for _ in range(3)]
    assert [start for _, start, _ in told] == [1_000_000 - CONSOLE_BYTES + n * PIECE_BYTES for n in range(3)]
    assert sum(len(content) for _, _, content in told) == CONSOLE_BYTES
    assert guests.told() == []


def test_guests_that_write_much_do_not_silence_the_others(guests: Guests) -> None:
    for uuid in MANY:
        guests.write(uuid, bytes(CONSOLE_BYTES))
    first, second = guests.told(), guests.told()
    assert sum(len(content) for _, _, content in first) == PIECES_BYTES
    assert {uuid for uuid, _, _ in [*first, *second]} == set(MANY)
