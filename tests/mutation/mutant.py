"""What a planted bug is, and which suites are asked for it. Never runs anything."""

from collections.abc import Mapping
from dataclasses import dataclass

_DECISION = ("tests/unit", "tests/model", "tests/world", "tests/api")
_AGENT = ("tests/contract/test_simulated.py", "tests/unit", "tests/world", "tests/api")
_DATABASE = ("tests/db", "tests/unit", "tests/api", "tests/world")

# The longest prefix of the file decides. The cheapest suite comes first: the first one that fails kills a mutant.
SUITES: Mapping[str, tuple[str, ...]] = {
    "migrator/": _DECISION,
    "migrator/api/": ("tests/api",),
    "migrator/compute/": _AGENT,
    "migrator/db/": _DATABASE,
}
# Tests that a file has of its own are asked before them, all at once: they take seconds.
_DECIDING = ("tests/unit/scheduler",)
_DECISIONS = "tests/unit/scheduler/decision"
_PROVING = tuple(f"{_DECISIONS}/test_{name}.py" for name in ("proof", "decide_reverts", "decide_moves"))
_WORKING = ("tests/unit/compute",)
_OF_AGENTS = ("tests/api/test_admission.py", "tests/api/test_agent_credentials.py", "tests/api/test_body_budget.py")
OWN: Mapping[str, tuple[str, ...]] = {
    "migrator/": (),
    "migrator/api/": ("tests/api/test_request_gate.py",),
    "migrator/api/gate/": ("tests/api/test_request_gate.py", *_OF_AGENTS),
    "migrator/api/gate/listener_guard.py": ("tests/unit/api/gate/test_listener_guard.py",),
    "migrator/api/process/": _OF_AGENTS,
    "migrator/capacity.py": ("tests/db/test_capacity.py", "tests/api/test_approval.py"),
    "migrator/compute/": _WORKING,
    "migrator/compute/compatibility.py": ("tests/unit/compute/test_compatibility.py",),
    "migrator/compute/handlers/kept_disks.py": (
        "tests/unit/compute/agent/test_kept_worker.py",
        "tests/world/test_kept_disks.py",
    ),
    "migrator/compute/storage/idle_base_images.py": ("tests/unit/compute/storage/test_leftovers.py",),
    "migrator/compute/storage/leftovers.py": ("tests/unit/compute/storage/test_leftovers.py",),
    "migrator/compute/storage/table_readings.py": ("tests/unit/compute/storage/test_table_readings.py",),
    "migrator/compute/storage/whole_disks.py": ("tests/unit/compute/storage/test_whole_disks.py",),
    "migrator/compute/fencing/lease.py": ("tests/unit/compute/fencing",),
    "migrator/compute/fencing/self_fencing.py": ("tests/unit/compute/fencing",),
    "migrator/compute/storage/lent_files.py": ("tests/unit/compute/storage/test_lent_files.py",),
    "migrator/db/claims.py": (
        "tests/db/test_claims.py",
        "tests/db/test_capacity.py",
        "tests/db/test_owed_claims.py",
        "tests/api/test_approval.py",
    ),
    "migrator/db/facts.py": ("tests/db/test_facts.py",),
    "migrator/db/host_domains.py": ("tests/db/test_copies.py",),
    "migrator/db/host_removal.py": ("tests/api/test_host_removal.py",),
    "migrator/db/hosts.py": ("tests/db/test_host_boots.py", "tests/db/test_capacity.py", "tests/api/test_approval.py"),
    "migrator/db/registrations.py": ("tests/db/test_capacity.py", "tests/api/test_approval.py"),
    "migrator/db/leftovers.py": ("tests/api/test_leftovers.py",),
    "migrator/db/machines.py": (
        "tests/db/test_machines.py",
        "tests/api/test_host_removal.py",
        "tests/api/test_approval.py",
    ),
    "migrator/protocol/": (*_DECIDING, *_WORKING),
    "migrator/scheduler/": _DECIDING,
    "migrator/scheduler/checks/": ("tests/unit/scheduler/checks",),
    "migrator/scheduler/fleet/": ("tests/api/test_what_if.py", "tests/api/test_drains_one_after_the_other.py"),
    "migrator/scheduler/fleet/balance/": ("tests/unit/scheduler/fleet/test_balance.py",),
    "migrator/scheduler/fleet/plan/": ("tests/unit/scheduler/fleet",),
    "migrator/scheduler/hosts/approval.py": ("tests/api/test_approval.py",),
    "migrator/scheduler/decision/attestation.py": (*_DECIDING, "tests/world/test_attestation.py"),
    "migrator/scheduler/decision/host_claim.py": (f"{_DECISIONS}/test_host_claim.py",),
    "migrator/scheduler/decision/phase_judgement.py": (
        f"{_DECISIONS}/test_decide.py",
        *_PROVING,
        "tests/world/test_cloned_markers.py",
    ),
    "migrator/scheduler/decision/proof.py": _PROVING,
    "migrator/scheduler/decision/source_proof.py": _PROVING,
    "migrator/scheduler/decision/unreported.py": (f"{_DECISIONS}/test_unreported.py",),
    "migrator/scheduler/hosts/audit.py": ("tests/unit/scheduler/hosts/test_audit.py", "tests/db/test_audit.py"),
    "migrator/scheduler/state/entitlements.py": ("tests/api/test_hostile_agent.py",),
    "migrator/scheduler/requests/host_boots.py": ("tests/db/test_host_boots.py",),
    "migrator/scheduler/hosts/expected_guests.py": ("tests/unit/scheduler/hosts/test_audit.py",),
    "migrator/scheduler/state/newer_copies.py": ("tests/db/test_audit.py",),
    "migrator/scheduler/state/unseen_guests.py": ("tests/world/test_restored_silence.py",),
    "migrator/scheduler/hosts/reconciliation_rules.py": ("tests/unit/scheduler/hosts/test_reconciliation.py",),
    "migrator/scheduler/hosts/reconciliation.py": (
        "tests/unit/scheduler/hosts/test_reconciliation.py",
        "tests/world/test_hanging_word.py",
    ),
    "migrator/scheduler/hosts/registration.py": ("tests/db/test_registration.py",),
    "migrator/scheduler/hosts/removal.py": ("tests/api/test_host_removal.py", "tests/db/test_races.py"),
    "migrator/scheduler/hosts/leftovers.py": ("tests/api/test_leftovers.py",),
    "migrator/scheduler/hosts/machines.py": ("tests/db/test_machines.py",),
    "migrator/untrusted/qcow2_clusters.py": (
        "tests/unit/compute/storage/test_table_readings.py",
        "tests/unit/compute/storage/test_whole_disks.py",
    ),
    "migrator/scheduler/state/unexplained_files.py": ("tests/api/test_leftovers.py",),
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` stands exactly once in ``file``, a path from the project's root, and becomes ``new``. ``name`` is the bug
    in a few words. ``equivalent``: why no test can notice it; "" for one that a test must notice."""

    name: str
    file: str
    old: str
    new: str
    equivalent: str = ""

    @property
    def suites(self) -> tuple[tuple[str, ...], ...]:
        """What is asked, in this order: paths of tests that are run at once."""
        own = self._longest(OWN)
        return (*((own,) if own else ()), *((suite,) for suite in self._longest(SUITES)))

    def _longest(self, suites: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        return suites[max((prefix for prefix in suites if self.file.startswith(prefix)), key=len)]

    def applied(self, text: str) -> str:
        """The file's text with the bug in it. Raises ValueError when ``old`` does not stand there exactly once."""
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: what it changes stands {found} times in {self.file}: {self.old!r}")
        return text.replace(self.old, self.new)
