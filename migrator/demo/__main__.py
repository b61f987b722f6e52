"""``script/demo``: reads the options, chooses the stage, tells the story, and ends without a trace."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from typing import Any

from migrator.demo import report, stage, story
from migrator.errors import MigratorError

_WHAT = (
    "Boots an instance on each kind of storage, moves them in every way there is (live, cold, resize and revert, "
    "evacuation of a lost host), and tells what happened."
)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/demo", description=_WHAT)
    parser.add_argument("--keep", action="store_true", help="leave everything running, and say how to use and stop it")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, and nothing else there")
    parser.add_argument("--simulated", action="store_true", help="simulated hosts, although real ones could be made")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where the server listens (default 127.0.0.1:8774)")
    return parser.parse_args(argv)


def why_simulated() -> str | None:
    """The plain reason why real hosts cannot be made here; None: they can."""
    if os.geteuid() != 0:
        return "Real hosts need root (network namespaces, libvirtd)"
    missing = [name for name in ("libvirtd", "qemu-system-x86_64", "glusterd", "ip") if shutil.which(name) is None]
    with contextlib.suppress(ImportError):
        import importlib.util

        if importlib.util.find_spec("libvirt") is None:
            missing.append("libvirt-python")
    return f"Real hosts need {', '.join(missing)}, which this machine does not have" if missing else None


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _interrupted)
    begin = time.monotonic()
    teller = report.Teller(sys.stderr if arguments.json else sys.stdout)
    reason = "Asked for" if arguments.simulated else why_simulated()
    if reason is not None:
        teller.say(f"{reason}: these hosts are SIMULATED, and so are their guests.")
    try:
        return _play(arguments, teller, simulated=reason is not None, begin=begin)
    except KeyboardInterrupt:
        teller.say("interrupted; everything was removed")
        return 130
    except (MigratorError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _interrupted(_number: int, _frame: Any) -> None:
    # A second signal must not cut the cleaning up short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(arguments: argparse.Namespace, teller: report.Teller, *, simulated: bool, begin: float) -> int:
    listen = stage.free_endpoint(arguments.listen)
    kept = False
    enter = stage.simulated if simulated else stage.real
    with enter(listen, teller.step, lambda: kept) as where:
        moves = story.Story(where, teller.step, teller.watch).play()
        teller.summary(where, moves, time.monotonic() - begin)
        if arguments.json:
            print(json.dumps(_document(where, moves, time.monotonic() - begin)))
        if arguments.keep:
            kept = True
            teller.how_to_go_on(where)
    return 0


def _document(where: stage.Stage, moves: list[story.Move], wall_s: float) -> dict[str, Any]:
    return {
        "simulated": where.simulated,
        "hosts": where.hosts,
        "moves": [move.public() for move in moves],
        "wall_s": round(wall_s, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
