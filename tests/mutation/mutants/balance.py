"""Planted bugs in the plans for balance."""

from tests.mutation.mutant import Mutant

FLEET = "migrator/scheduler/fleet/balance/fleet.py"
PACK = "migrator/scheduler/fleet/balance/pack.py"
SPREAD = "migrator/scheduler/fleet/balance/spread.py"

MUTANTS = (
    Mutant(
        "a plan for balance fills a host's memory over its room",
        FLEET,
        " or needs.memory_mb > free[1]",
        "",
    ),
    Mutant(
        "a plan for balance forgets what checks refused",
        FLEET,
        "if message := guest.refusals.get(name):",
        'if message := guest.refusals.get("", ""):',
    ),
    Mutant(
        "a move changes nothing of what its hosts are thought to use",
        FLEET,
        "self.used[host] = self.used[host].plus(guest.expected, sign)",
        "self.used[host] = self.used[host].plus(guest.expected, 0)",
    ),
    Mutant(
        "a host receives until it is hot itself",
        SPREAD,
        "Use(cpus - limits.gap / 2, memory - limits.gap / 2)",
        "Use(cpus + limits.gap / 2, memory + limits.gap / 2)",
    ),
    Mutant(
        "a move is proposed whatever it costs",
        SPREAD,
        "if gain * max(0.0, horizon_s - guest.duration_s) > cost_s(guest):",
        "if gain > 0:",
    ),
    Mutant(
        "a host that could only be emptied by half is left so",
        PACK,
        "                fleet.move(each, name)\n",
        "                pass\n",
    ),
    Mutant(
        "hosts are packed by means, not by peaks",
        PACK,
        "fleet.share(name, fleet.peaks[name].plus(guest.peak))",
        "fleet.share(name, guest.expected)",
    ),
)
