"""The libvirt driver at home: a process inside a host's namespaces, called from the test's.

So the driver sees what an agent sees: the host's own libvirtd, mounts and paths, the same on every host. Calls go as
pickles over a pipe, one at a time; whatever a call raises is raised here.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from migrator.compute.driver import Driver
from migrator.settings import AgentSettings

STREAMED = "lent_file"  # all of it is read over there


class Remote:
    """Every attribute is a method of the driver over there."""

    def __init__(self, enter: Callable[[list[str]], list[str]], settings: dict[str, Any]) -> None:
        command = enter([sys.executable, "-m", "tests.contract.remote_driver"])
        # Not the working directory: that is lost on the way into another mount namespace.
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._send(settings)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._send((name, arguments, named))
            assert self._process.stdout is not None
            ok, value = pickle.load(self._process.stdout)
            if ok:
                return nullcontext(value) if name == STREAMED else value
            raise value

        return call

    def end(self) -> None:
        """Kill it, as an agent may be killed: its transfers go on."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()


def remote(enter: Callable[[list[str]], list[str]], settings: dict[str, Any]) -> tuple[Driver, Callable[[], None]]:
    """A driver inside a host, and what ends it."""
    process = Remote(enter, settings)
    return cast(Driver, process), process.end


def _serve() -> None:
    from migrator.compute.libvirt.driver import LibvirtDriver

    calls, answers = sys.stdin.buffer, sys.stdout.buffer
    driver = LibvirtDriver(AgentSettings(**pickle.load(calls)))
    while True:
        try:
            name, arguments, named = pickle.load(calls)
        except EOFError:
            return
        try:
            value = getattr(driver, name)(*arguments, **named)
            if name == STREAMED:
                with value as pieces:
                    value = list(pieces)
            answer = (True, value)
        except Exception as error:
            answer = (False, error)
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
