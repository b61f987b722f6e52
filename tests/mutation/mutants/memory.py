"""Planted bugs in what an agent remembers: lease, admission, kept disks."""

from tests.mutation.mutant import Mutant

WORDS = "migrator/protocol/vocabulary.py"
ADMISSION = "migrator/compute/agent/assignment_admission.py"
KEPT_DISKS = "migrator/compute/storage/kept_disks.py"
LEASE = "migrator/compute/fencing/lease.py"
SELF_FENCING = "migrator/compute/fencing/self_fencing.py"

MUTANTS = (
    Mutant("older epochs are admitted", ADMISSION, "if assignment.epoch < epoch:", "if False:"),
    Mutant(
        "older generations are admitted", ADMISSION, "if assignment.serial and assignment.serial < newest:", "if False:"
    ),
    Mutant(
        "epochs are not noted",
        ADMISSION,
        ("    journal.note_epoch(assignment.operation_id, assignment.epoch, assignment.instance.uuid, serial)"),
        "    del serial",
    ),
    Mutant(
        "lapsed lease: memory is restored",
        SELF_FENCING,
        (
            "    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: "
            'str = "") -> None:\n'
            "        self._check()\n"
        ),
        ('    def restore_memory(self, spec: InstanceSpec, operation_id: str, epoch: int, seal: str = "") -> None:\n'),
    ),
    Mutant(
        "harmless looks supersede",
        ADMISSION,
        "serial = 0 if assignment.ensure in HARMLESS else assignment.serial",
        "serial = assignment.serial",
    ),
    Mutant(
        "a harmful step needs no memory",
        WORDS,
        "HARMLESS = frozenset({Ensure.OBSERVED, ",
        "HARMLESS = frozenset({Ensure.OBSERVED, Ensure.ABSENT, ",
    ),
    Mutant(
        "a start needs no journal",
        ADMISSION,
        "WITHOUT_JOURNAL = frozenset({Ensure.OBSERVED, ",
        "WITHOUT_JOURNAL = frozenset({Ensure.OBSERVED, Ensure.RUNNING, ",
    ),
    Mutant(
        "a lost lease is fresh",
        LEASE,
        ("        return SavedLease(self._host, self._boot, -math.inf, (self.wanted_s,) if self.wanted_s else ())"),
        ("        return SavedLease(self._host, self._boot, self.clock(), (self.wanted_s,) if self.wanted_s else ())"),
    ),
    Mutant(
        "a lease under another name is renewed",
        LEASE,
        "        if kept.host != host and kept.believed:",
        "        if False:",
    ),
    Mutant(
        "a reboot renews a lease", LEASE, "return -math.inf if kept.believed else self.clock()", "return self.clock()"
    ),
    Mutant(
        "a lease lapses only with the longest promise",
        LEASE,
        "leases = [(self._contact, min(self._believed))] if self._believed else []",
        "leases = [(self._contact, max(self._believed))] if self._believed else []",
    ),
    Mutant(
        "a lapse is forgotten when the server is heard",
        LEASE,
        (
            "            if self._look():  # perhaps unnoticed until now: a process can be stopped "
            "for as long as you like\n"
            "                return  # counts once nothing runs here\n"
        ),
        "            self._look()\n",
    ),
    Mutant(
        "kept disks are counted by another host",
        KEPT_DISKS,
        "if age.written is None:  # another host's to count",
        "if False:  # another host's to count",
    ),
    Mutant("kept disks go at once", KEPT_DISKS, "if age.seconds >= self._retention_s:", "if True:"),
    Mutant(
        "a clock that went back ages kept disks",
        KEPT_DISKS,
        "passed, age.at = max(0.0, now - age.at), now",
        "passed, age.at = abs(now - age.at), now",
    ),
    Mutant(
        "what a restore replaces is not kept",
        KEPT_DISKS,
        ("                    _rename(home, stead)\n                    self._age(stead)"),
        "                    remove_folder(home)",
    ),
)
