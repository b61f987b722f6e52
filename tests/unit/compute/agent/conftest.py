"""Fixtures of the agent's tests."""

import pytest

from tests.unit.compute.agent.two_hosts import World


@pytest.fixture
def world() -> World:
    world = World()
    world.boot()
    return world
