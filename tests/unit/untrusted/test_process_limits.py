"""The limits of memory leave what a program needs."""

from pathlib import Path

from migrator.untrusted import process_limits
from migrator.untrusted.process_limits import Limits


def test_threads_that_write_at_once_fit_into_the_memory(tmp_path: Path) -> None:
    """With an arena for each thread, most of these runs are aborted."""
    source, made = tmp_path / "source", tmp_path / "made"
    source.write_bytes(bytes(range(1, 256)) * 2**18)
    for _ in range(4):
        asked = ["convert", "-m", "16", "-W", "-f", "raw", "-O", "qcow2", str(source), str(made)]
        process_limits.run("qemu-img", asked, Limits(), package="qemu-utils")
