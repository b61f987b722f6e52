"""A real agent's process, over a simulated hypervisor, that is asked to end in the middle of a step."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from migrator.compute.journal import open_journal
from migrator.errors import Conflict

# Makes disks for a while, and starts the guest then. What it did it writes into the directory that it is given.
PROGRAM = """
import sys, time
from pathlib import Path
import httpx
from migrator.compute import agent, real_agent
from migrator.compute.client import ServerClient
from migrator.compute.fabric import Fabric
from migrator.compute.simulated import SimulatedHypervisor
from migrator.protocol import Ensure, Role
from migrator.settings import AgentSettings
from tests.unit.test_agent import Server
from tests.unit.two_hosts import assignment

told = Path(sys.argv[1])

class Slow(SimulatedHypervisor):
    def make_disks(self, *arguments, **named):
        super().make_disks(*arguments, **named)
        (told / "making").touch()
        time.sleep(3)

    def define_and_start(self, *arguments, **named):
        super().define_and_start(*arguments, **named)
        (told / "started").touch()

fabric, server = Fabric(time.monotonic), Server()
fabric.add_host("a", bandwidth_bytes_per_s=1e9)
build = assignment(Ensure.RUNNING, kind="build", operation_id="op-build", role=Role.DESTINATION)
server.wanted["a"] = [build]
agent._LAST_STEPS_S = 0.2
real_agent.LibvirtDriver = lambda settings: Slow("a", fabric)
real_agent.ServerClient = lambda *named, **_: ServerClient(*named, httpx.MockTransport(server.answer))
settings = AgentSettings(server_url="http://server", host="a", token="secret", state_path=told)
sys.exit(real_agent.run_real_agent(settings))
"""


def test_a_step_that_outlasts_the_agent_does_not_act_beside_the_next_one(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    try:
        _until((tmp_path / "making").exists)
        process.send_signal(signal.SIGTERM)
        _until(lambda: _given_up(tmp_path / "journal"))
        time.sleep(3.5)
        assert not (tmp_path / "started").exists()
        assert process.wait(5) == 1
    finally:
        process.kill()
        process.wait()


def _given_up(journal: Path) -> bool:
    """Whether another agent may start."""
    try:
        open_journal(journal).close()
    except Conflict:
        return False
    return True


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
