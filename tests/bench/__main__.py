"""Runs the parts named (all by default) and puts their tables into docs/benchmarks.md; the other parts stay."""

import datetime
import importlib
import os
import sys
from pathlib import Path

PARTS = {
    "live": "A live migration through the API against `virsh migrate --live --p2p`",
    "auto": "Live migrations of guests that write: auto, each fixed way, and plain `virsh migrate`",
    "copy": "A disk copied from host to host, against `qemu-img convert` and `rsync`",
    "cold": "Time out of service in a cold migration on shared storage, against `virsh` by hand",
    "evacuate": "Evacuating the instances of a dead host, from one client's requests to all running",
    "placing": "A scheduling decision, with its claim",
    "planning": "A plan for the moves of many instances onto many hosts",
    "capacity": "Whether a fleet survives the loss of any one host",
    "balance": "A day of 500 hosts whose load changes, with and without rebalances",
    "identity": "Who calls, from memory, and what the policy says, for one request",
    "api": "The pages that dashboards poll",
    "agents": "Thousands of agents that start together, and lose their server together",
    "million": "Lists and metrics beside a million operations that are over",
    "memory": "Memory at rest",
}
REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `script/bench`: {cpus} cores, no hardware virtualisation (guests run under software emulation).
Each part stands with the day of its last run. Compare figures of one run only; on another machine, run it again.
"""


def main(argv: list[str]) -> int:
    wanted = argv or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    today = datetime.date.today().isoformat()
    for name in wanted:
        print(f"== {PARTS[name]}", flush=True)
        lines = importlib.import_module(f"tests.bench.{name}").run()
        print("\n".join(lines), flush=True)
        kept = _sections(REPORT.read_text()) if REPORT.exists() else {}
        _write(kept | {name: "\n".join([f"`script/bench {name}` on {today}", "", *lines, ""])})
    return 0


def _write(kept: dict[str, str]) -> None:
    text = [HEAD.format(cpus=os.cpu_count())]
    for name, title in PARTS.items():
        if name in kept:
            text += [f"## {title}", "", kept[name]]
    REPORT.write_text("\n".join(text).rstrip() + "\n")


def _sections(text: str) -> dict[str, str]:
    """What earlier runs measured, by part."""
    found: dict[str, str] = {}
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n\n")
        found |= {name: body.rstrip() + "\n" for name, known in PARTS.items() if known == title}
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
