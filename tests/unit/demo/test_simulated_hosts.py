"""What the demo's child process does as it is told."""

import asyncio

from migrator.compute.agent.simulated_main import demo_simulation
from migrator.demo.simulated_hosts import _Host


def test_power_for_a_host_that_has_it_starts_no_second_agent() -> None:
    async def twice() -> None:
        host = _Host("n1", demo_simulation(["n1"]), "http://127.0.0.1:9", "token")
        host.start_agent()
        first, boots = host.task, host.simulation.hosts["n1"].boots
        await host.power_on()
        assert (host.task, host.simulation.hosts["n1"].boots) == (first, boots)
        await host.power_off()
        await host.power_on()
        assert host.task is not first
        assert host.simulation.hosts["n1"].boots == boots + 1
        await host.end_agent()

    asyncio.run(twice())
