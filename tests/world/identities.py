"""Identifiers of a world: what the product takes from the system's random source comes from the world's seed.

Owns the replacements while a world is open. Replaces nothing that decides anything: only UUIDs, MAC addresses,
reservation ids and generated passwords come from there.
"""

import random
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def identities() -> Iterator[random.Random]:
    """The source of every new identifier inside the block; who makes a world seeds it."""
    source = random.Random()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=source.getrandbits(128), version=4))
        patch.setattr(secrets, "choice", source.choice)
        patch.setattr(secrets, "randbelow", source.randrange)
        yield source
