"""The facts that wait to be sent: the newest one of each operation."""

import asyncio

from migrator.protocol import Fact


class FactQueue:
    """A fact that could not be sent stays until a newer one of its operation replaces it."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}
        self._filled = asyncio.Event()

    def put(self, fact: Fact) -> None:
        self._facts[fact.operation_id] = fact
        self._filled.set()

    async def take(self) -> tuple[Fact, ...]:
        await self._filled.wait()
        self._filled.clear()
        facts, self._facts = tuple(self._facts.values()), {}
        return facts

    def requeue(self, facts: tuple[Fact, ...]) -> None:
        for fact in facts:
            self._facts.setdefault(fact.operation_id, fact)
        self._filled.set()
