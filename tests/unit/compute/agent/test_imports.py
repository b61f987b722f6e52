"""What an agent's process does not carry in memory: a host's memory is its guests'."""

import subprocess
import sys

import pytest

LOADED = """
import sys
from migrator.cli.main import parser
from migrator.cli.processes import without_httpx_cli
parser()
without_httpx_cli()
import migrator.compute.agent.{module}
print(*sorted(name for name in sys.modules if sys.modules[name] is not None))
"""


@pytest.mark.parametrize("module", ["main", "simulated_main"])
def test_neither_the_servers_libraries_nor_those_that_draw(module: str) -> None:
    command = [sys.executable, "-c", LOADED.format(module=module)]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert {"httpx", "migrator.compute.agent.agent"} <= loaded
    assert not loaded & {"sqlalchemy", "alembic", "starlette", "uvicorn", "rich", "click", "pygments", "pycdlib"}
