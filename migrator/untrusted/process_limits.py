"""Runs a program that reads what strangers wrote, under limits of memory, processor and time.

Owns how the limits are set: the program ``prlimit`` sets them and then becomes the other one, so nothing runs between
fork and exec in a process that has threads. Never chooses the limits and never reads the output.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from migrator.errors import StorageError

_MIB = 1024**2
# By default glibc reserves 64 MiB of addresses for nearly each thread: with those of a few that write at once, qemu-img
# had none left, and was aborted ("qemu_thread_create: Resource temporarily unavailable").
_ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class Limits:
    """``cpu_s``: seconds of processor; ``wall_s``: seconds by the clock; ``file_mb``: MiB of any file that it writes,
    None: any size."""

    memory_mb: int = 1024  # of address space, as Nova gives qemu-img
    cpu_s: int = 30
    wall_s: float = 60.0
    file_mb: int | None = None


def run(program: str, arguments: Sequence[str], limits: Limits, *, package: str) -> str:
    """The program's output. ``package``: what to install where it is missing. Raises StorageError."""
    name = f"{program} {arguments[0]}"
    try:
        done = subprocess.run(
            ["prlimit", *_options(limits), "--", program, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limits.wall_s,
            env=os.environ | _ONE_ARENA,
        )
    except FileNotFoundError as error:
        raise StorageError("prlimit is not installed", advice="install the package util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{name} had no answer within {limits.wall_s:g} s") from error
    if done.returncode == 0:
        return done.stdout
    if done.returncode in (126, 127) and "failed to execute" in done.stderr:
        raise StorageError(f"{program} is not installed", advice=f"install the package {package}")
    raise StorageError(f"{name} failed: {_reason(done.returncode, done.stderr.strip(), limits)}")


def _options(limits: Limits) -> list[str]:
    options = [f"--as={limits.memory_mb * _MIB}", f"--cpu={limits.cpu_s}", "--core=0"]
    return options + ([f"--fsize={limits.file_mb * _MIB}"] if limits.file_mb is not None else [])


def _reason(code: int, message: str, limits: Limits) -> str:
    """A program that is out of memory seldom says so: it is ended by a signal."""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it needs more than {limits.cpu_s} s of processor"
    if code == -signal.SIGXFSZ:
        return f"it writes more than {limits.file_mb} MiB"
    if code < 0:
        ending = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"{message or 'it says nothing'} ({ending}; it may use {limits.memory_mb} MiB of memory)"
    return message or f"it ended with status {code}"
