"""A real agent's process: without its hypervisor, and over a simulated one, asked to end in the middle of a step."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from migrator.compute.journal import open_journal
from migrator.errors import Conflict
from tests.waiting import PATIENCE, wait_for

# Makes disks for a while, and starts the guest then. What it did it writes into the directory that it is given.
PROGRAM = """
import sys, time
from pathlib import Path
import httpx
from migrator.compute.agent import agent, main
from migrator.compute.agent.client import ServerClient
from migrator.compute.simulated.cluster import SimulatedCluster
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.protocol import Ensure, Role
from migrator.settings import AgentSettings
from tests.unit.compute.agent.test_agent import Server
from tests.unit.compute.agent.two_hosts import assignment

told = Path(sys.argv[1])

class Slow(SimulatedHypervisor):
    def make_disks(self, *arguments, **named):
        super().make_disks(*arguments, **named)
        (told / "making").touch()
        time.sleep(3)

    def define_and_start(self, *arguments, **named):
        super().define_and_start(*arguments, **named)
        (told / "started").touch()

simulation, server = SimulatedCluster(time.monotonic), Server()
simulation.add_host("a", bandwidth_bytes_per_s=1e9)
build = assignment(Ensure.RUNNING, kind="build", operation_id="op-build", role=Role.DESTINATION)
server.wanted["a"] = [build]
agent._LAST_STEPS_S = 0.2
main.LibvirtDriver = lambda settings: Slow("a", simulation)
main.ServerClient = lambda *named, **_: ServerClient(*named, httpx.MockTransport(server.answer))
settings = AgentSettings(server_url="http://server", host="a", token="secret", state_path=told)
sys.exit(main.run_real_agent(settings))
"""


def test_an_agent_whose_libvirtd_is_down_says_what_to_start(tmp_path: Path) -> None:
    config, log = tmp_path / "agent.toml", tmp_path / "agent.log"
    uri = f"qemu+unix:///system?socket={tmp_path}/nobody-listens"
    lines = {"host": "n1", "server_url": "http://127.0.0.1:9", "token": "t", "libvirt_uri": uri}
    lines["state_path"] = str(tmp_path / "state")
    config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    command = [sys.executable, "-m", "migrator.cli.main", "agent", "--config", str(config)]
    with log.open("w") as written:
        process = subprocess.Popen(command, stderr=written)
    try:
        wait_for(lambda: "start it (systemctl start libvirtd" in log.read_text(), 20, "the advice", [log])
        assert uri in log.read_text()
        assert "Traceback" not in log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE * 10) == 0
    finally:
        process.kill()
        process.wait(10)


def test_a_step_that_outlasts_the_agent_does_not_act_beside_the_next_one(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    try:
        wait_for((tmp_path / "making").exists, 20, "the step")
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: _given_up(tmp_path / "journal"), 20, "the agent to give up its journal")
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
