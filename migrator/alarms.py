"""The kinds of alarm, and what to do about each: one table, for the API, the command line and the metrics.

Owns names and advice. Never decides when an alarm is raised; ``db/alarms.py`` keeps those that were. An alarm is about
a host, an instance, one instance on one host, or one operation of an instance, and stays open until what raised it is
found to be over.
"""

from collections.abc import Mapping
from enum import StrEnum


class AlarmKind(StrEnum):
    AGENT_IMPAIRED = "agent-impaired"
    AGENT_LOST = "agent-lost"
    CLOCK_STEPPED = "clock-stepped"
    SPLIT = "split"
    LOST = "lost"
    POSTCOPY_LOST = "torn"
    COPY_ELSEWHERE = "copy-elsewhere"
    COPY_NEWER = "copy-newer"
    DOMAIN_GONE = "domain-gone"
    GUEST_FAILS = "guest-fails"
    GUEST_UNSEEN = "guest-unseen"
    HOST_SETUP = "host-setup"
    HOSTS_LOST = "hosts-lost"
    NO_RECORD = "no-record"
    OVERDUE = "operation-overdue"
    RECOVERY_HELD = "recovery-held"
    RECOVERY_STUCK = "recovery-stuck"
    SECOND_MACHINE = "second-machine"
    STORAGE_MARKER = "storage-marker"
    UNPROVEN_CLAIM = "unproven-claim"
    UNREADABLE = "operation-unreadable"


# The record has the instance in one place, and a copy's stamp or state says another, or a silent host may: nothing is
# done to it before an operator has compared both.
DISPUTES = (AlarmKind.COPY_ELSEWHERE, AlarmKind.COPY_NEWER, AlarmKind.GUEST_UNSEEN)

# About one operation, and over with it.
OF_OPERATIONS = (AlarmKind.SPLIT, AlarmKind.LOST, AlarmKind.POSTCOPY_LOST, AlarmKind.OVERDUE, AlarmKind.UNREADABLE)

# kind -> what an operator does; {host} and {instance} are the alarm's own.
ADVICE: Mapping[AlarmKind, str] = {
    AlarmKind.AGENT_IMPAIRED: "make room on the disk of {host} that holds the agent's state_path, or mend it: "
    "until then nothing is begun there, and only what stops a guest is done",
    AlarmKind.AGENT_LOST: "find out what became of the agent's journal on {host}: compare its guests with the record "
    "before a database is restored; the alarm ends with the agent's next start",
    AlarmKind.CLOCK_STEPPED: "see that the database's machine keeps its time (chrony or ntpd, slewing); no host was "
    "given up or kept for it",
    AlarmKind.SPLIT: "stop the copy that is wrong with virsh on its host; `migrator timeline` tells what was found",
    AlarmKind.LOST: "look for the guest and its disks on both hosts; the operation's `migrator timeline` says more",
    AlarmKind.POSTCOPY_LOST: 'see "A post-copy that breaks off" in docs/real-hosts.md',
    AlarmKind.COPY_ELSEWHERE: "compare both sides with `migrator reconcile {instance}`, and say which copy is right",
    AlarmKind.COPY_NEWER: "the database may have been restored from an older backup: compare both sides with "
    "`migrator reconcile {instance}`, and say which copy is right",
    AlarmKind.DOMAIN_GONE: "start the instance, which defines its domain anew from the disks that are there; or say "
    "with `migrator reconcile {instance}` where it is",
    AlarmKind.GUEST_FAILS: "see in the guest's console log and in the host's journal why it fails, and start it "
    "when that is mended",
    AlarmKind.GUEST_UNSEEN: "bring the silent host back, and compare both sides with `migrator reconcile {instance}`; "
    "or, if it is lost, fence it: the instance can then be started where its record has it",
    AlarmKind.HOST_SETUP: "do on {host} what the alarm says; its agent looks again each minute",
    AlarmKind.HOSTS_LOST: "find out what they have in common (a switch, a rack's power) and bring them back; those "
    "that are lost are evacuated one after the other with `migrator host-evacuate HOST`",
    AlarmKind.NO_RECORD: "look at the guest on {host}; if it is not needed, stop and undefine it there with virsh",
    AlarmKind.OVERDUE: "see with `migrator timeline {instance}` what the operation waits for: bring that host back, "
    "or cancel the operation",
    AlarmKind.RECOVERY_HELD: "bring {host} back, or see that it is off and say so with `migrator service-force-down "
    "{host}`: its instances are evacuated then",
    AlarmKind.RECOVERY_STUCK: "see with `migrator recovery-show` what is stuck and why; `migrator drain-cancel` ends "
    "it, and `migrator host-evacuate {host}` goes on by a person's word",
    AlarmKind.SECOND_MACHINE: "give each machine a name and a credential of its own; if {host} was replaced and the "
    "old machine is gone for good, `migrator host-replace {host}`",
    AlarmKind.STORAGE_MARKER: "one of the two storages was copied from the other: give {host}'s a marker of its own "
    "(remove .migrator-storage-id and its line in the agent's state_path/storage), or mount the right one there",
    AlarmKind.UNPROVEN_CLAIM: "look at {host}: its agent reports copies of instances that it was never given",
    AlarmKind.UNREADABLE: "upgrade every server to one release; if they all run it, the operation's row is damaged: "
    "restore it from a backup",
}


def announced_by(reason: str | None) -> AlarmKind | None:
    """The alarm that an operation's reason to wait is about: one that begins with its name, "SPLIT: ..."."""
    name = (reason or "").partition(":")[0]
    return AlarmKind(name.lower()) if name in ("SPLIT", "LOST", "TORN") else None


def advice(kind: str, host: str | None, instance_uuid: str | None) -> str:
    """What to do about an alarm of this kind; "" for a kind of a newer release."""
    try:
        text = ADVICE[AlarmKind(kind)]
    except ValueError:
        return ""
    return text.replace("{host}", host or "the host").replace("{instance}", instance_uuid or "SERVER")
