"""What becomes of an evacuated instance's disks: kept, made anew, or kept aside on the host that returns.

Pure. Owns the words for it, which the API's answer, the timeline and the operation's record share. Never decides
whether an evacuation may begin.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from migrator.event_types import EventType
from migrator.protocol import DiskSpec, Fact, InstanceSpec, KeptDisks
from migrator.scheduler.decision.snapshot import Timeline

_GIB = 1024**3


def fates(spec: InstanceSpec, surviving: Collection[str]) -> list[dict[str, Any]]:
    """One a disk and volume: {target, pool, kept, made_from, image_id}. ``surviving``: the pools that another host
    shares. ``made_from``: None for what is kept, else "image", "config drive" or "empty"."""
    disks = [_fate(disk, disk.pool in surviving) for disk in spec.disks]
    rest: dict[str, Any] = {"pool": None, "kept": True, "made_from": None, "image_id": None}
    return disks + [{"target": volume.target, **rest} for volume in spec.volumes]


def _fate(disk: DiskSpec, kept: bool) -> dict[str, Any]:
    origin = "config drive" if disk.config_drive else "empty" if disk.image_id is None else "image"
    return {
        "target": disk.target,
        "pool": disk.pool,
        "kept": kept,
        "made_from": None if kept else origin,
        "image_id": None if kept else disk.image_id,
    }


def lost(told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those whose data the instance will not have any more: a config drive holds none of its own."""
    return [fate for fate in told if not fate["kept"] and fate["made_from"] != "config drive"]


def describe(told: Sequence[Mapping[str, Any]]) -> str:
    """All of them in one line."""
    return ", ".join(_describe_fate(fate) for fate in told)


def _describe_fate(fate: Mapping[str, Any]) -> str:
    if fate["kept"]:
        return f"{fate['target']} is kept"
    origin = f"from image {fate['image_id']}" if fate["made_from"] == "image" else str(fate["made_from"])
    return f"{fate['target']} is made anew ({origin})"


def set_aside(fact: Fact | None) -> tuple[Timeline, ...]:
    """A line for what the host that returned has kept."""
    if fact is None or not fact.kept:
        return ()
    found = "; ".join(_describe_kept(one) for one in fact.kept)
    advice = "see `migrator kept-disks`"
    return (
        Timeline(EventType.DISKS_SET_ASIDE, f"kept aside: {found}; {advice}", details={"kept": kept_view(fact.kept)}),
    )


def kept_view(kept: Sequence[KeptDisks]) -> list[dict[str, Any]]:
    """For the record, which outlives what changes."""
    return [one.model_dump(mode="json", exclude={"age_s", "left_s"}) for one in kept]


def _describe_kept(one: KeptDisks) -> str:
    return f"{', '.join(one.files)} of pool {one.pool} ({one.bytes / _GIB:.2f} GiB)"
