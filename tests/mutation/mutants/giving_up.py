"""Planted bugs in what is given up, lent or removed: proofs before it, leftovers, lent files, copies of them."""

from tests.mutation.mutant import Mutant

ATTESTATION = "migrator/scheduler/decision/attestation.py"
ENSURE_MOVING = "migrator/compute/handlers/cold.py"
CLUSTERS = "migrator/untrusted/qcow2_clusters.py"
EXPECTED = "migrator/scheduler/hosts/expected_guests.py"
HOST_DOMAINS = "migrator/db/host_domains.py"
IDLE_BASES = "migrator/compute/storage/idle_base_images.py"
LEFTOVERS = "migrator/compute/storage/leftovers.py"
LENT_FILES = "migrator/compute/storage/lent_files.py"
READING = "migrator/scheduler/decision/views.py"
RECORDS = "migrator/db/leftovers.py"
SATISFIED = "migrator/scheduler/decision/completion.py"
SHOWN = "migrator/scheduler/hosts/leftovers.py"
UNEXPLAINED = "migrator/scheduler/state/unexplained_files.py"
TABLE_READINGS = "migrator/compute/storage/table_readings.py"
WHOLE_DISKS = "migrator/compute/storage/whole_disks.py"

MUTANTS = (
    Mutant(
        "a proof counts for a source that was silent after it",
        ATTESTATION,
        "if not table.reversible(phase.name) and not views.heard(snapshot, operation.source):",
        "if False:",
    ),
    Mutant(
        "a fenced source is waited for",
        ATTESTATION,
        "    if views.fenced(snapshot, source):\n        return set_free(snapshot, source)\n",
        "",
    ),
    Mutant(
        "a live migration is reverted after the guest has moved",
        ATTESTATION,
        "if operation.cancel_requested and table.reversible(phase.name):",
        "if operation.cancel_requested:",
    ),
    Mutant(
        "a guest at both ends is attested",
        ATTESTATION,
        "    if torn_after_arrival(snapshot, table, phase):",
        "    if False:",
    ),
    Mutant(
        "a fenced destination is waited for",
        ATTESTATION,
        "    if not table.reversible(phase.name) and views.fenced(snapshot, host):",
        "    if False:",
    ),
    Mutant(
        "disks that are not shown yet are whole",
        ATTESTATION,
        "    if found.progress is Progress.DONE:\n        return None\n",
        "    if found.progress is not Progress.FAILED:\n        return None\n",
    ),
    Mutant(
        "a live migration whose disks are not whole waits for a word",
        ATTESTATION,
        "if found.progress is Progress.PENDING or asked is None or not table.reversible(phase.name):",
        "if found.progress is Progress.PENDING or asked is None:",
    ),
    Mutant(
        "a refused confirmation stays asked for",
        ATTESTATION,
        "        confirm=False,\n        context={proof.WINDOW: None},",
        "        context={proof.WINDOW: None},",
    ),
    Mutant(
        "an instance's directory is removed",
        LEFTOVERS,
        "if one.kind == LeftoverKind.DISKS or one.age_s < self._retention_s or locked(path):",
        "if one.age_s < self._retention_s or locked(path):",
    ),
    Mutant(
        "what is unused is removed at once",
        LEFTOVERS,
        "if one.kind == LeftoverKind.DISKS or one.age_s < self._retention_s or locked(path):",
        "if one.kind == LeftoverKind.DISKS or locked(path):",
    ),
    Mutant(
        "what a process holds is removed",
        LEFTOVERS,
        "if one.kind == LeftoverKind.DISKS or one.age_s < self._retention_s or locked(path):",
        "if one.kind == LeftoverKind.DISKS or one.age_s < self._retention_s:",
    ),
    Mutant(
        "a use does not begin the time anew",
        LEFTOVERS,
        "if watched is None or watched.mark != mark:",
        "if watched is None:",
    ),
    Mutant(
        "an image under disks is removed in one step",
        LEFTOVERS,
        "if one.kind == LeftoverKind.BASE and not idle_base_images.is_out_of_use(path):",
        "if False:",
    ),
    Mutant(
        "the log of a domain that is here is left over",
        LEFTOVERS,
        "if (name := _CONSOLE.fullmatch(path.name)) is not None and name[1] not in present:",
        "if (name := _CONSOLE.fullmatch(path.name)) is not None:",
    ),
    Mutant(
        "a disk that is half made lies over nothing",
        IDLE_BASES,
        "            if half_made(path):\n                return None\n",
        "            if half_made(path):\n                continue\n",
    ),
    Mutant(
        "a disk that cannot be read lies over nothing",
        IDLE_BASES,
        "            except OSError:\n                return None\n",
        "            except OSError:\n                continue\n",
    ),
    Mutant(
        "disks that are kept aside lie over nothing",
        IDLE_BASES,
        r"""rf"{_UUID}|\.(?:kept|dropped)\..+")""",
        'rf"{_UUID}")',
    ),
    Mutant(
        "a base that perhaps is used stays out of use",
        IDLE_BASES,
        "if used is None or name in used:",
        "if used is not None and name in used:",
    ),
    Mutant(
        "files of an operation under way are left over", UNEXPLAINED, '    if row.involved:\n        return ""\n', ""
    ),
    Mutant(
        "pools that tell no identity are the same storage",
        UNEXPLAINED,
        "shared = _identity(own, one.pool) and _identity(own, one.pool) == _identity(row.pools, one.pool)",
        "shared = _identity(own, one.pool) == _identity(row.pools, one.pool)",
    ),
    Mutant(
        "pools of one name are the same storage",
        UNEXPLAINED,
        "shared = _identity(own, one.pool) and _identity(own, one.pool) == _identity(row.pools, one.pool)",
        "shared = one.pool in (own or {}) and one.pool in (row.pools or {})",
    ),
    Mutant(
        "an operation that has ended explains files for ever",
        RECORDS,
        "o.instance_uuid == i.uuid, o.active == true(), or_(",
        "o.instance_uuid == i.uuid, or_(",
    ),
    Mutant(
        "a destination's files are left over",
        RECORDS,
        "or_(o.source == host, o.destination == host)",
        "o.source == host",
    ),
    Mutant("an operator hears that disks are removed", SHOWN, "what.kind != LeftoverKind.DISKS)", "True)"),
    Mutant(
        "what a guest writes to is lent",
        ENSURE_MOVING,
        "written = set(targets) - {disk.target for disk in spec.disks if disk.config_drive}",
        "written: set[str] = set()",
    ),
    Mutant(
        "lent with a problem",
        SATISFIED,
        "return _when(fact.problem is None and fact.domain is not None and bool(fact.disks))",
        "return _when(fact.domain is not None and bool(fact.disks))",
    ),
    Mutant(
        "lent without saying where",
        SATISFIED,
        "return _when(fact.problem is None and fact.domain is not None and bool(fact.disks))",
        "return _when(fact.problem is None and fact.domain is not None)",
    ),
    Mutant(
        "a config drive that both hosts share is copied onto itself",
        READING,
        "return tuple(d.target for d in snapshot.instance.disks if d.pool not in shared and d.config_drive)",
        "return tuple(d.target for d in snapshot.instance.disks if d.config_drive)",
    ),
    Mutant(
        "every disk is fetched before the transfer",
        READING,
        "return lent_targets(snapshot) if phase.lends else moved_targets(snapshot)",
        "return moved_targets(snapshot)",
    ),
    Mutant(
        "no lost image is lent where there is no config drive",
        READING,
        "return not lent_targets(snapshot) and not lent_images(snapshot)",
        "return not lent_targets(snapshot)",
    ),
    Mutant(
        "copies that differ are equal",
        SATISFIED,
        "if here.get(t) and there.get(t) and here[t] != there[t]]",
        "if here.get(t) and there.get(t) and False]",
    ),
    Mutant(
        "a link to what was there before stays lent",
        LENT_FILES,
        "if link.name not in wanted or not link.samefile(wanted[link.name]):",
        "if link.name not in wanted:",
    ),
    Mutant(
        "a link that leads elsewhere is lent",
        LENT_FILES,
        "    if not S_ISREG(file.lstat().st_mode):",
        "    if not file.exists():",
    ),
    Mutant(
        "a disk image's header is lent",
        LENT_FILES,
        "        refuse_images(directory, {directory / image.name for image in images})\n",
        "",
    ),
    Mutant(
        "a proof reads headers alone",
        ENSURE_MOVING,
        "    driver.refuse_damaged(spec)\n",
        "",
    ),
    Mutant(
        "the content of a base image is not compared",
        WHOLE_DISKS,
        "if image.checksum_sha256 and self._bases[key] != image.checksum_sha256:",
        "if False:",
    ),
    Mutant(
        "a base image is not looked through",
        WHOLE_DISKS,
        "for one, disk_format in ((file, disk.format), *chain):",
        "for one, disk_format in ((file, disk.format),):",
    ),
    Mutant(
        "a disk that became shorter is still known to be whole",
        WHOLE_DISKS,
        "if read is None or read.inode != found.st_ino or found.st_size < read.size:",
        "if read is None or read.inode != found.st_ino:",
    ),
    Mutant(
        "a reading of tables goes on in another file",
        TABLE_READINGS,
        "if begun is None or not same or found.st_size < begun.size:",
        "if begun is None:",
    ),
    Mutant(
        "a reading of tables that failed counts as done",
        CLUSTERS,
        "        return self._done\n",
        "        return not any(True for _ in self._steps)\n",
    ),
    Mutant(
        "compressed clusters are read as others",
        CLUSTERS,
        "    if any(flag & _COMPRESSED for flag in flags):",
        "    if False:",
    ),
    Mutant(
        "a file may lack many clusters",
        CLUSTERS,
        "if self._end - length >= self.header.cluster_bytes:",
        "if self._end - length >= 64 * self.header.cluster_bytes:",
    ),
    Mutant(
        "a cold move explains a guest at its source at any time",
        EXPECTED,
        "(host == operation.source and at <= stop)",
        "(host == operation.source)",
    ),
    Mutant(
        "a cold move explains a guest at its destination at any time",
        EXPECTED,
        "(host == operation.destination and at >= start)",
        "(host == operation.destination)",
    ),
    Mutant(
        "a guest that runs where something cleans up does not keep a deletion waiting",
        HOST_DOMAINS,
        "        or_(not_(owed), runs_on),\n",
        "        not_(owed),\n",
    ),
)
