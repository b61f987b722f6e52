"""Checks of a guest against a host, and of the two hosts against each other. Pure.

They answer from what agents saw before a client asked; what no host has looked at is unknown, and never passes. Each
answers with a finding. ``filters.py`` holds the table of them.
"""

from migrator.protocol import PeerProbe, VolumeProbe, VolumeSpec, guest_cpu
from migrator.scheduler.checks.finding import (
    FAILURE_STANDS_S,
    Candidate,
    CheckFinding,
    PlacementRequest,
    Status,
    SurveyRecord,
    listed,
    unknown,
    verdict,
)

_MIB, _GIB = 1024**2, 1024**3
SKEW_S = 2.0  # by which two hosts' clocks may differ


def instance(_candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    return verdict(need.unfit or None, need.unfit or "ready", "")


def devices(_candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.guest is None:
        return _guest_unknown(need)
    held = ", ".join(need.guest.devices)
    message = f"the guest holds devices of {need.source}: {held}" if held else None
    return verdict(message, held or "none", "", need.guest_age_s)


def arch(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.guest is None:
        return _guest_unknown(need)
    here, there = need.guest.arch, candidate.host.report.arch
    message = None if here == there else f"the guest is {here}, the host {there}"
    return verdict(message, here, there, _age(candidate, need))


def machine_type(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.guest is None:
        return _guest_unknown(need)
    machine, types = need.guest.machine, candidate.host.report.machine_types
    if not types:
        return unknown("its agent names no machine types", machine)
    lacks = bool(machine) and machine not in types
    there = f"not among {len(types)} types" if lacks else "known"
    message = f"it does not know {machine}" if lacks else None
    return verdict(message, machine or "any", there, _age(candidate, need))


def hypervisor_version(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.guest is None:
        return _guest_unknown(need)
    here, there = need.guest.hypervisor_version, candidate.host.report.hypervisor_version
    if not here or not there:
        return unknown("a host does not tell the version of its hypervisor", str(here), str(there))
    message = None if there >= here else f"{there} is older than the source's {here}"
    return verdict(message, str(here), str(there), _age(candidate, need))


def cpu(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    guest = need.guest
    if guest is None:
        return _guest_unknown(need)
    if guest.cpu_xml is None:
        return verdict(None, "the guest names no CPU model", "", need.guest_age_s)
    key = guest_cpu.key(guest.arch, guest.machine, guest.cpu_xml)
    here, surveyed = f"CPU {key}", candidate.surveyed
    answer = surveyed.survey.runs.get(key) if surveyed is not None else None
    if surveyed is None or answer is None:
        return unknown(f"the agent of {candidate.host.name} has not compared this CPU yet", here)
    message = None if answer.ok else answer.message or "it cannot run the guest's CPU"
    there = message or answer.message or "has every feature"
    return verdict(message, here, there, max(need.guest_age_s, surveyed.age_s + answer.age_s))


def uri(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.origin is None:
        return unknown("the source is not known")
    return _reach(need.origin.surveyed, need.origin.host.name, candidate.host.name, _uri(candidate))


def uri_back(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.origin is None:
        return unknown("the source is not known")
    wanted = need.origin.host.report.live_migration_uri
    found = _reach(candidate.surveyed, candidate.host.name, need.origin.host.name, wanted)
    return CheckFinding(found.status, found.message, found.destination, found.source, found.age_s)


def clock(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    """Each host's clock against the database's; what the measuring itself may have cost counts for no host."""
    here, there = need.origin.surveyed if need.origin is not None else None, candidate.surveyed
    if here is None or there is None or here.survey.clock_offset_s is None or there.survey.clock_offset_s is None:
        return unknown("a host has not told the time yet", _offset(here), _offset(there))
    skew = abs(here.survey.clock_offset_s - there.survey.clock_offset_s)
    doubt = here.survey.clock_error_s + there.survey.clock_error_s
    if skew - doubt <= SKEW_S < skew + doubt:
        return unknown(f"they differ by {skew:.1f} s, give or take {doubt:.1f} s", _offset(here), _offset(there))
    message = f"they differ by {skew:.1f} s; {SKEW_S:g} s are allowed" if skew > SKEW_S else None
    return verdict(message, _offset(here), _offset(there), max(here.age_s, there.age_s))


def image(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    """A host that was given the image before may have it still: then the move goes well all the same."""
    if not need.missing_images:
        return verdict(None, "the catalogue has every image that it needs", "")
    pools, guest = candidate.host.report.storage, need.guest
    own = guest.storage if guest is not None else {}
    if all(pool in pools and own.get(pool) == pools[pool].identity for pool in need.instance.pools):
        return verdict(None, "the disks, and what they lie over, are shared", "")
    names = ", ".join(need.missing_images)
    if need.live and need.source is not None:
        message = f"the catalogue does not have image {names} any more: it is fetched from {need.source}"
        return verdict(None, message, f"needs {names}")
    message = (
        f"the catalogue does not have image {names} any more: {candidate.host.name} needs it, unless it has a copy"
    )
    return unknown(message, f"needs {names}")


def volumes(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    wanted = need.instance.volumes
    if not wanted:
        return verdict(None, "no volumes", "", need.guest_age_s)
    here = ", ".join(f"{volume.target} is {volume.source}" for volume in wanted)
    seen = candidate.surveyed.survey.volumes if candidate.surveyed is not None else {}
    unseen = [volume.source for volume in wanted if volume.source not in seen]
    if candidate.surveyed is None or unseen:
        message = f"{candidate.host.name} looks at {', '.join(unseen)} once the instance is there or about to come"
        return unknown(message, here)
    age_s = candidate.surveyed.age_s + max(seen[volume.source].age_s for volume in wanted)
    faults = [message for volume in wanted if (message := _volume(volume, seen[volume.source]))]
    there = "; ".join(faults) or "reaches every one"
    if faults and age_s > FAILURE_STANDS_S:
        return CheckFinding(Status.UNKNOWN, f"{age_s:.0f} s ago: {there}", here, there, age_s)
    return verdict("; ".join(faults) or None, here, there, age_s)


def _volume(volume: VolumeSpec, sight: VolumeProbe) -> str:
    """What is wrong with it; "": nothing."""
    if sight.bytes is None:
        return f"{volume.source} is out of reach: {sight.message}"
    short = sight.bytes < volume.size_gb * _GIB
    return f"{volume.source} has {sight.bytes // _MIB} MiB, and had {volume.size_gb} GiB" if short else ""


def console(candidate: Candidate, need: PlacementRequest) -> CheckFinding:
    if need.guest is None:
        return _guest_unknown(need)
    if not need.guest.listens:
        return verdict(None, "listens on no address of its own", "", need.guest_age_s)
    here, surveyed = ", ".join(need.guest.listens), candidate.surveyed
    if surveyed is None or not surveyed.survey.addresses:
        return unknown(f"the agent of {candidate.host.name} has not told its addresses yet", here)
    missing = ", ".join(a for a in need.guest.listens if a not in surveyed.survey.addresses)
    message = f"a console of the guest listens on {missing}, which it does not have" if missing else None
    there = f"has {listed(surveyed.survey.addresses)}"
    return verdict(message, here, there, max(need.guest_age_s, surveyed.age_s))


def _guest_unknown(need: PlacementRequest) -> CheckFinding:
    return unknown(f"the agent of {need.source} has not described the guest yet")


def _age(candidate: Candidate, need: PlacementRequest) -> float:
    return max(need.guest_age_s, candidate.host.silent_s)


def _uri(candidate: Candidate) -> str:
    return candidate.host.report.live_migration_uri


def _reach(surveyed: SurveyRecord | None, prober: str, peer: str, wanted: str) -> CheckFinding:
    """``source``: what the prober found, ``destination``: where it looked."""
    if prober == peer:
        return verdict(None, "the same host", wanted)
    found: PeerProbe | None = surveyed.survey.peers.get(peer) if surveyed is not None else None
    if surveyed is None or found is None or found.uri != wanted:
        return unknown(f"the agent of {prober} has not tried {wanted} yet", "not tried", wanted)
    age_s = surveyed.age_s + found.age_s
    if not found.ok and age_s > FAILURE_STANDS_S:
        return CheckFinding(
            Status.UNKNOWN, f"could not be reached {age_s:.0f} s ago: {found.message}", "", wanted, age_s
        )
    message = None if found.ok else f"{prober} cannot reach {wanted}: {found.message}"
    return verdict(message, "connected" if found.ok else found.message, wanted, age_s)


def _offset(surveyed: SurveyRecord | None) -> str:
    if surveyed is None or surveyed.survey.clock_offset_s is None:
        return "not known"
    return f"{surveyed.survey.clock_offset_s:+.3f} s from the database's clock"
