"""Begins evacuations: away from a host that is down, and of which there is evidence that it runs nothing.

Owns what must be known before one may begin: that the host is down, why it counts as fenced, and whether the
instance's disks outlive it. Never advances an operation.
"""

import secrets
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.db import host_domains, hosts, images, keys, operations
from migrator.db.engine import Connection, Database
from migrator.db.rows import HostRow, InstanceRow
from migrator.errors import BadRequest, Conflict, HostNotFound
from migrator.operations import Kind
from migrator.protocol import GuestDescription, HostReport, InstanceSpec, StoragePool, TargetPowerState
from migrator.scheduler.decision import evacuated_disks
from migrator.scheduler.requests import evacuation_events, lost_host
from migrator.scheduler.requests.requests import Caller, at_rest, begin, refuse_second_copy, until_unchanged
from migrator.scheduler.state import passwords, shared_proofs, unseen_guests
from migrator.scheduler.state.host_views import host_view, report_of, with_fencing
from migrator.scheduler.state.unseen_guests import SilentHosts
from migrator.settings import ServerSettings

_PASSWORD_LENGTH = 12
_POWER = {"stopped": TargetPowerState.SHUT_OFF, "suspended": TargetPowerState.SAVED}


@dataclass(frozen=True, slots=True)
class Evacuation:
    """``shared``: the disks are kept. ``admin_pass``: None if they are. ``told``: a config drive is made anew, which is
    all that tells the guest a password. ``disks``: what becomes of each, see ``evacuated_disks.fates``."""

    operation_id: int
    shared: bool
    admin_pass: str | None
    told: bool
    disks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class EvacuationRequest:
    """How the client wants it. ``host`` None: the scheduler's choice.

    ``on_shared_storage`` True is held against the facts; False claims nothing, for old clients must say something.
    ``generate``: make a password where none is given and the disks are not kept. ``stopped``: the instance ends shut
    off even if it ran. ``may_lose`` False: refused where disks whose data only the lost host has would be made anew."""

    host: str | None = None
    on_shared_storage: bool | None = None
    admin_pass: str | None = None
    generate: bool = False
    stopped: bool = False
    may_lose: bool = True


@dataclass(frozen=True, slots=True)
class _Survival:
    """What of the instance outlives its host. ``surviving``: see ``surviving_pools``; ``disks``: see ``Evacuation``;
    ``shared``: every disk does."""

    spec: InstanceSpec
    report: HostReport
    surviving: Mapping[str, str]
    disks: Sequence[Mapping[str, Any]]
    shared: bool

    @property
    def kept_pools(self) -> dict[str, str]:
        """Those of the surviving that the instance has something in."""
        return {pool: identity for pool, identity in self.surviving.items() if pool in self.spec.pools}

    @property
    def drive_made_anew(self) -> bool:
        return any(d.config_drive and d.pool not in self.surviving for d in self.spec.disks)


def evacuate(
    db: Database, caller: Caller, uuid: str, settings: ServerSettings, request: EvacuationRequest
) -> Evacuation:
    """Begin an evacuation. Raises BadRequest (host up, same host, password or flag against the facts, nothing to
    rebuild from), Conflict (wrong state, no evidence), InstanceBusy."""
    with db.read() as connection:  # of every host: no writer should wait for that
        storage, silent = hosts.storage(connection), SilentHosts(connection, settings)

    return until_unchanged(db, lambda connection: _begin(connection, caller, uuid, settings, request, storage, silent))


def _begin(
    connection: Connection,
    caller: Caller,
    uuid: str,
    settings: ServerSettings,
    request: EvacuationRequest,
    storage: Mapping[str, Mapping[str, StoragePool]],
    silent: SilentHosts,
) -> Evacuation:
    operations.active_of_instance(connection, uuid, lock=True)  # operations are locked before hosts
    row = at_rest(connection, uuid, Kind.EVACUATION)
    source = _source(connection, row, request.host, settings)
    refuse_second_copy(Kind.EVACUATION, row, _live_elsewhere(connection, row, settings))
    found = _survival(row, source, storage)
    _refuse_heard(source, settings, shared=found.shared)
    _check_storage(found.spec, found.surviving, found.shared, request.on_shared_storage, request.admin_pass)
    message = rebuild_refusal(found.disks, images.with_data(connection, images_of(found.disks)), settings)
    if message := message or ("" if request.may_lose else loss_refusal(found.disks)):
        raise Conflict(f"Cannot 'evacuate' instance {uuid}: {message}")
    generated = request.admin_pass is None and request.generate
    password = None if found.shared else _password() if generated else request.admin_pass
    proven = shared_proofs.check(source, list(found.kept_pools), settings)
    params = {
        "surviving": found.surviving,
        "trust_marker": not settings.shared_storage_proof_max_age,
        "power": _power(row, found, stopped=request.stopped).value,
        passwords.PARAM: passwords.encrypted(keys.stamp_key(connection), password),
    }
    context = {"guest": describe_guest(found.report).model_dump(mode="json"), "disks": found.disks}
    asked: dict[str, Any] = {"requested_host": request.host, "params": params, "context": context, "seen": row}
    operation_id = begin(connection, caller, Kind.EVACUATION, uuid, row.host, **asked)
    evacuation_events.note_evidence(connection, operation_id, uuid, source, settings)
    sharers = _sharers(storage, found.kept_pools, source.name)
    shared_proofs.note(connection, operation_id, uuid, source.name, proven, sharers)
    evacuation_events.note_disks(connection, operation_id, uuid, found.disks)
    unseen_guests.raise_if_unseen(connection, source, row, silent)
    return Evacuation(operation_id, found.shared, password, found.drive_made_anew, found.disks)


def _survival(row: InstanceRow, source: HostRow, storage: Mapping[str, Mapping[str, StoragePool]]) -> _Survival:
    """Raises Conflict where the host's report cannot be read."""
    spec, (report, unreadable) = InstanceSpec.model_validate(row.spec), report_of(source)
    if unreadable:  # which of its disks are shared is unknown
        message = f"Cannot 'evacuate' instance {row.uuid}:"
        hidden = f"{message} what its host last reported cannot be read"
        raise Conflict(f"{message} host {source.name}: {unreadable}", without_hosts=hidden)
    surviving = surviving_pools(storage, spec, report, source.name)
    shared = outlives(spec, surviving)
    return _Survival(spec, report, surviving, evacuated_disks.fates(spec, surviving), shared)


def outlives(spec: InstanceSpec, surviving: Collection[str]) -> bool:
    """Whether all that the instance has outlives its host. ``surviving``: the pools that do."""
    kept = [disk for disk in spec.disks if not disk.config_drive]
    return bool(kept or spec.volumes) and all(disk.pool in surviving for disk in kept)


def _power(row: InstanceRow, found: _Survival, *, stopped: bool) -> TargetPowerState:
    """How the instance ends."""
    power = TargetPowerState.SHUT_OFF if stopped else _POWER.get(row.vm_state, TargetPowerState.RUNNING)
    if power is TargetPowerState.SAVED and found.spec.home_pool not in found.surviving:
        return TargetPowerState.SHUT_OFF  # its memory was lost with the host
    return power


def _source(connection: Connection, row: InstanceRow, host: str | None, settings: ServerSettings) -> HostRow:
    """The lost host's row."""
    if row.host is None:
        raise Conflict(f"Cannot 'evacuate' instance {row.uuid}: it was never on a host")
    if host == row.host:
        raise BadRequest("The target host can't be the same one.")
    hosts.lock(connection, [row.host])  # what is granted on its evidence is not overtaken by its being forced up
    try:
        source = hosts.get(connection, row.host)
    except HostNotFound as error:
        hidden = "The instance's compute host could not be found."
        raise BadRequest(f"Compute host {row.host} could not be found.", without_hosts=hidden) from error
    lost_host.check(source, settings, f"Cannot 'evacuate' instance {row.uuid}:")
    return source


def _refuse_heard(source: HostRow, settings: ServerSettings, *, shared: bool) -> None:
    """A host that is heard is not down, though an operator says so. Where the disks are kept its agent stops the guest
    first, before another copy starts; where they are not, a healthy guest would be given up for an empty disk."""
    if why := heard_refusal(source, settings, shared=shared):
        message = f"Compute service of {source.name} is still in use: {why}"
        raise BadRequest(message, without_hosts=f"{lost_host.IN_USE}: {why}")


def heard_refusal(source: HostRow, settings: ServerSettings, *, shared: bool) -> str:
    """Why nothing may begin as long as the host that was forced down is heard; "": it may."""
    view = host_view(source, settings.service_down_time)
    if shared or view.up or not view.heard:
        return ""
    return (
        f"it was forced down, but its agent spoke {max(0.0, source.silent_s):.0f} s ago, and the instance's disks "
        "are there and nowhere else. Move it with live-migration or migrate instead. A host without power is "
        "silent: ask again in a few seconds"
    )


def _live_elsewhere(connection: Connection, row: InstanceRow, settings: ServerSettings) -> list[tuple[str, str]]:
    """Hosts besides the recorded one that have a live copy of it, for all that is known, and its state: perhaps the
    lost host under another name."""
    states = dict(host_domains.live_elsewhere(connection, row.uuid, row.host))
    others = hosts.by_names(connection, states)
    views = [with_fencing(other, host_view(other, settings.service_down_time), settings, 0.0) for other in others]
    return [(view.name, states[view.name]) for view in views if not view.fenced]


def images_of(disks: Sequence[Mapping[str, Any]]) -> set[str]:
    """Images that what is not kept would be made from."""
    return {str(fate["image_id"]) for fate in evacuated_disks.lost(disks) if fate["image_id"] is not None}


def rebuild_refusal(disks: Sequence[Mapping[str, Any]], available: Collection[str], settings: ServerSettings) -> str:
    """Why what is not kept may or can not be made anew; "": it can. ``available``: images whose bytes agents can
    fetch."""
    lost = evacuated_disks.lost(disks)
    if lost and not settings.evacuate_rebuilds:
        names = ", ".join(f"{fate['target']} (pool {fate['pool']})" for fate in lost)
        return (
            f"its disks {names} are on no storage that another host shares, and evacuate_rebuilds = false forbids to "
            "make them anew; bring the host back, or allow it"
        )
    if missing := sorted(images_of(disks).difference(available)):
        return (
            f"the image {', '.join(missing)}, which its disks would be made from, is not in the catalogue any more; "
            "bring the host back, or register the image again under its id"
        )
    return ""


def loss_refusal(disks: Sequence[Mapping[str, Any]]) -> str:
    """Why none may begin that no operator has allowed to lose data; "": it would lose none."""
    if not (lost := evacuated_disks.lost(disks)):
        return ""
    names = ", ".join(f"{fate['target']} (pool {fate['pool']})" for fate in lost)
    return f"it would not have the data of its disks {names} any more: only the lost host has them"


def surviving_pools(
    storage: Mapping[str, Mapping[str, StoragePool]], spec: InstanceSpec, report: HostReport, lost: str
) -> dict[str, str]:
    """The instance's pools that another host shares: pool -> storage identity. Found out, not asked. ``storage``: host
    -> its pools."""
    own = {pool: report.storage[pool].identity for pool in spec.pools if pool in report.storage}
    found: dict[str, str] = {}
    for other, pools in storage.items():
        if other != lost:
            found |= {p: i for p, i in own.items() if p in pools and pools[p].identity == i}
    return found


def _sharers(
    storage: Mapping[str, Mapping[str, StoragePool]], surviving: Mapping[str, str], lost: str
) -> dict[str, list[str]]:
    """Pool -> the hosts that report the same storage as the lost one."""

    def report_it(pool: str, identity: str) -> list[str]:
        return [h for h, pools in storage.items() if h != lost and pool in pools and pools[pool].identity == identity]

    return {pool: report_it(pool, identity) for pool, identity in surviving.items()}


def _check_storage(
    spec: InstanceSpec,
    surviving: Mapping[str, str],
    shared: bool,
    on_shared_storage: bool | None,
    admin_pass: str | None,
) -> None:
    if shared and admin_pass is not None:
        raise BadRequest(
            f"admin password can't be changed on existing disk: the instance's disks are on shared storage "
            f"({_where_kept(spec, surviving)}) and are kept; leave the password out"
        )
    if on_shared_storage and not shared:
        local = sorted({disk.pool for disk in spec.disks} - set(surviving))
        raise BadRequest(
            f"Invalid state of instance files on shared storage: no other host shares {', '.join(local)}; leave "
            "on-shared-storage out, and the instance is rebuilt from its image"
        )
    for disk in spec.disks:
        if disk.pool not in surviving and disk.image_id is None and disk.target == "vda":
            raise BadRequest(
                "The instance's disk was lost with its host and it has no image to be rebuilt from; bring the host "
                "back, or restore the disk from a backup"
            )


def _where_kept(spec: InstanceSpec, surviving: Mapping[str, str]) -> str:
    return ", ".join([*sorted({d.pool for d in spec.disks} & set(surviving)), *(v.source for v in spec.volumes)])


def describe_guest(report: HostReport) -> GuestDescription:
    """What can be said of a guest whose host cannot be asked."""
    storage = {name: pool.identity for name, pool in report.storage.items()}
    proofs = {name: pool.proof for name, pool in report.storage.items() if pool.proof}
    return GuestDescription(arch=report.arch, storage=storage, proofs=proofs)


def _password() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_PASSWORD_LENGTH))
