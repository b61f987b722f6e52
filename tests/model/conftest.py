"""What ``decide`` said is remembered through one search and never into the next, whose bug may be a planted one."""

from collections.abc import Iterator

import pytest

from tests.model import server


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    server.forget()
    yield
    server.forget()
