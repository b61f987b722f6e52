"""The kinds of alarm, and what to do about each: one table, for the API, the command line and the metrics.

Owns names and advice. Never decides when an alarm is raised; ``db/alarms.py`` keeps those that were. An alarm is about
a host, an instance, or one instance on one host, and stays open until what raised it is found to be over.
"""

from collections.abc import Mapping
from enum import StrEnum


class AlarmKind(StrEnum):
    CLOCK_STEPPED = "clock-stepped"
    COPY_ELSEWHERE = "copy-elsewhere"
    COPY_NEWER = "copy-newer"
    DOMAIN_GONE = "domain-gone"
    NO_RECORD = "no-record"
    UNPROVEN_CLAIM = "unproven-claim"
    UNREADABLE = "operation-unreadable"


# kind -> what an operator does; {host} and {instance} are the alarm's own.
ADVICE: Mapping[AlarmKind, str] = {
    AlarmKind.CLOCK_STEPPED: "see that the database's machine keeps its time (chrony or ntpd, slewing); no host was "
    "given up or kept for it",
    AlarmKind.COPY_ELSEWHERE: "compare both sides with `migrator reconcile {instance}`, and say which copy is right",
    AlarmKind.COPY_NEWER: "the database may have been restored from an older backup: compare both sides with "
    "`migrator reconcile {instance}`, and say which copy is right",
    AlarmKind.DOMAIN_GONE: "start the instance, which defines its domain anew from the disks that are there; or say "
    "with `migrator reconcile {instance}` where it is",
    AlarmKind.NO_RECORD: "look at the guest on {host}; what nobody needs is stopped and undefined there with virsh",
    AlarmKind.UNPROVEN_CLAIM: "look at {host}: its agent reports copies of instances that it was never given",
    AlarmKind.UNREADABLE: "upgrade every server to one release; if they all run it, the operation's row is damaged: "
    "restore it from a backup",
}


def advice(kind: str, host: str | None, instance_uuid: str | None) -> str:
    """What to do about an alarm of this kind; "" for a kind of a newer release."""
    try:
        text = ADVICE[AlarmKind(kind)]
    except ValueError:
        return ""
    return text.replace("{host}", host or "the host").replace("{instance}", instance_uuid or "SERVER")
