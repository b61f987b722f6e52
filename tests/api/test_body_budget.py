"""How much of agents' messages is in memory at once, whatever they send and how slowly."""

import asyncio
from collections import Counter

import pytest

from migrator.api.gate import refusal_pace
from migrator.api.process.body_budget import HOST_BYTES, SMALL_BYTES, BodyBudget
from migrator.db import credentials
from migrator.errors import ServerBusy, TooManyRequests
from migrator.protocol import message_sizes
from tests.api.harness import Web
from tests.api.raw_requests import JSON, Asked, ask

PART = b" " * 65_536
MIB = 2**20


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_pace, "_HELD_S", 0.0)


def head(web: Web, host: str) -> dict[str, str]:
    return JSON | {"Authorization": f"Bearer {credentials.issue(web.db, host)}"}


@pytest.mark.parametrize("announced", [True, False])
def test_one_agents_connections_that_each_keep_back_the_end_of_a_message_hold_a_bounded_part_of_memory(
    web: Web, announced: bool
) -> None:
    """100 of 16 MiB each took 2.2 GiB."""
    sized = {"Content-Length": str(3 * MIB)} if announced else {"Transfer-Encoding": "chunked"}
    bad, good = head(web, "compute1") | sized, head(web, "compute2") | sized
    parts = [PART] * 48

    async def main() -> tuple[int, Counter[int], int]:
        end = asyncio.Event()
        asked = [Asked(parts, end) for _ in range(100)]
        paths = ("poll", "survey", "poll", "poll")
        sent = [
            asyncio.create_task(
                ask(web, "PUT" if path == "survey" else "POST", f"/agent/v1/hosts/compute1/{path}", bad, one)
            )
            for one, path in zip(asked, paths * 25, strict=True)
        ]
        moved = -1
        while moved != (moved := sum(one.parts_read for one in asked)) or not moved:
            await asyncio.sleep(0.2)
        other = await ask(web, "PUT", "/agent/v1/hosts/compute2/survey", good, Asked(parts))
        refused = Counter(one.status for one in asked if one.status)
        held = sum(one.parts_read for one in asked if not one.status)
        end.set()
        await asyncio.gather(*sent)
        return held * len(PART), refused, other.status

    held, refused, other = asyncio.run(main())
    assert 0 < held <= HOST_BYTES + 10 * (SMALL_BYTES + len(PART))
    assert refused[429] >= 90
    assert other in (204, 400)  # it was read


def test_a_large_message_whose_length_is_not_announced_takes_the_room_of_the_largest_one(web: Web) -> None:
    chunked = head(web, "compute1") | {"Transfer-Encoding": "chunked"}

    async def main() -> tuple[dict[str, int], dict[str, int]]:
        end, parts = asyncio.Event(), [PART] * (SMALL_BYTES // len(PART) + 2)
        asked = Asked(parts, end)
        sent = asyncio.create_task(ask(web, "PUT", "/agent/v1/hosts/compute1/survey", chunked, asked))
        while asked.parts_read < len(parts) - 1:
            await asyncio.sleep(0.01)
        while_it_arrives = dict(web.services.bodies.taken)
        end.set()
        await sent
        return while_it_arrives, dict(web.services.bodies.taken)

    assert asyncio.run(main()) == ({"compute1": message_sizes.SURVEY}, {})


def test_a_host_has_room_again_when_its_message_was_answered(web: Web) -> None:
    heads = head(web, "compute1") | {"Content-Length": str(3 * MIB)}

    async def main() -> list[int]:
        body = b"{}".ljust(3 * MIB)
        return [
            (await ask(web, "PUT", "/agent/v1/hosts/compute1/survey", heads, Asked([body]))).status for _ in range(8)
        ]

    assert asyncio.run(main()) == [204] * 8


def test_a_poll_that_is_held_keeps_no_room(web: Web) -> None:
    heads = head(web, "compute1") | {"Content-Length": str(3 * MIB)}
    body = b'{"incarnation": 1, "wait_s": 0}'.ljust(3 * MIB)

    async def main() -> int:
        first = await ask(web, "POST", "/agent/v1/hosts/compute1/poll", heads, Asked([body]))
        digest = first.body.split(b'"digest":"')[1].split(b'"')[0].decode()
        waiting = f'{{"incarnation": 1, "wait_s": 50, "seen": "{digest}"}}'.encode().ljust(3 * MIB)
        held = asyncio.create_task(ask(web, "POST", "/agent/v1/hosts/compute1/poll", heads, Asked([waiting])))
        while "compute1" not in web.services.notifier._listeners or web.services.bodies.taken:
            await asyncio.sleep(0.01)
        assert not held.done()
        web.services.notifier.closing = True
        web.services.notifier._set(("compute1",))
        return (await held).status

    assert asyncio.run(main()) == 200


def test_all_hosts_together_have_so_much_room_and_are_told_to_come_again() -> None:
    budget = BodyBudget(total=10, of_host=6)
    with budget.room("n1", 6), budget.room("n2", 4):
        with pytest.raises(TooManyRequests, match="n1: more than 6 bytes"), budget.room("n1", 1):
            pass
        with pytest.raises(ServerBusy, match="large messages"), budget.room("n3", 1):
            pass
    with budget.room("n3", 6):
        pass
    assert not budget.taken
