"""Planted bugs in the plans of drains and evacuations, and in what one does next."""

from tests.mutation.mutant import Mutant

EVACUATIONS = "migrator/scheduler/fleet/evacuations.py"
PACKING = "migrator/scheduler/fleet/plan/packing.py"
PLANNER = "migrator/scheduler/fleet/plan/planner.py"
PLANNING = "migrator/scheduler/fleet/planning.py"
STEP = "migrator/scheduler/fleet/plan/step.py"

MUTANTS = (
    Mutant(
        "a plan fills a host's disks over their room",
        PACKING,
        "            and free[2] >= needs.disk_gb\n",
        "",
    ),
    Mutant(
        "a plan leads to the host that is drained",
        PACKING,
        "            and host != guest.source\n",
        "",
    ),
    Mutant(
        "one member more than the group allows is planned",
        PACKING,
        "self.together(guest, host) >= group.most",
        "self.together(guest, host) > group.most",
    ),
    Mutant(
        "members that stay where they are do not count in a plan",
        PACKING,
        "return group.others.get(host, 0) + self.members.get((group.uuid, host), 0) if group is not None else 0",
        "return self.members.get((group.uuid, host), 0) if group is not None else 0",
    ),
    Mutant(
        "the least important instance is placed first",
        PACKING,
        "return -guest.priority, reach,",
        "return guest.priority, reach,",
    ),
    Mutant(
        "a way that is closed is planned all the same",
        PLANNER,
        "(o for o in guest.options if o.way not in MOVES and not o.closed)",
        "(o for o in guest.options if o.way not in MOVES)",
    ),
    Mutant(
        "members that the plan moves count where they were",
        PLANNING,
        "for host in places if member not in planned else ():",
        "for host in places:",
    ),
    Mutant(
        "a hard group is planned as a soft one",
        PLANNING,
        "group.max_per_host, group.policy == SOFT_ANTI_AFFINITY, others)",
        "group.max_per_host, group.policy in _APART, others)",
    ),
    Mutant(
        "a plan made anew counts what it had planned itself",
        PLANNING,
        "drains.reserved(connection, but=drain_id)",
        "drains.reserved(connection, but=0)",
    ),
    Mutant(
        "a lost host takes its own instances in",
        EVACUATIONS,
        "[offer for offer in self.offers if offer.name not in gone]",
        "list(self.offers)",
    ),
    Mutant(
        "data is given up that nobody gave up",
        EVACUATIONS,
        "if not fleet.request.discard and (message := evacuation.loss_refusal(disks)):",
        "if False and (message := evacuation.loss_refusal(disks)):",
    ),
    Mutant(
        "neighbours that an instance is kept apart from are everybody's",
        EVACUATIONS,
        "alone = spec.uuid if neighbours.same_host or neighbours.different_host or not apart else None",
        "alone = spec.uuid if neighbours.same_host or not apart else None",
    ),
    Mutant(
        "a drain without a plan is over",
        STEP,
        "if not left and not view.unlisted and not view.arriving and view.plan_age_s is not None:",
        "if not left and not view.unlisted and not view.arriving:",
    ),
    Mutant(
        "a budget is exceeded by one",
        STEP,
        "return all(not limit or number < limit for limit, number in counted)",
        "return all(not limit or number <= limit for limit, number in counted)",
    ),
    Mutant(
        "a member of a group moves beside another one",
        STEP,
        "any(o.group == move.group and o.uuid != move.uuid for o in others):",
        "any(o.group == move.group and o.uuid != move.uuid for o in others if not o.moving):",
    ),
    Mutant(
        "what another request took away is moved",
        STEP,
        "    if guest.host != move.source:\n",
        "    if False:\n",
    ),
    Mutant(
        "what was left where it is is moved after all",
        STEP,
        "guest.host != view.empties or move.state is MoveState.LEFT:",
        "guest.host != view.empties:",
    ),
    Mutant(
        "a plan that has no place for an instance is made anew at each look",
        STEP,
        "return view.plan_age_s >= AGAIN_S and any(move.state is MoveState.STUCK for move in view.moves)",
        "return any(move.state is MoveState.STUCK for move in view.moves)",
    ),
)
