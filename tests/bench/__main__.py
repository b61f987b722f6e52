"""Runs the parts named (all by default), prints their tables and writes them to docs/benchmarks.md."""

import datetime
import importlib
import os
import sys
from pathlib import Path

PARTS = {
    "live": "A live migration through the API against `virsh migrate --live --p2p`",
    "placing": "A scheduling decision, with its claim",
    "api": "The pages that dashboards poll",
    "memory": "Memory at rest",
}
REPORT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `script/bench` on {date}: {cpus} cores, no hardware virtualisation (guests run under software emulation).
Compare figures of one run only; on another machine, run it again.
"""


def main(argv: list[str]) -> int:
    wanted = argv or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    text = [HEAD.format(date=datetime.date.today().isoformat(), cpus=os.cpu_count())]
    for name in wanted:
        print(f"== {PARTS[name]}", flush=True)
        lines = importlib.import_module(f"tests.bench.{name}").run()
        print("\n".join(lines), flush=True)
        text += [f"## {PARTS[name]}", "", f"`script/bench {name}`", "", *lines, ""]
    if set(wanted) == set(PARTS):
        REPORT.write_text("\n".join(text))
        print(f"written: {REPORT.relative_to(Path.cwd()) if REPORT.is_relative_to(Path.cwd()) else REPORT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
