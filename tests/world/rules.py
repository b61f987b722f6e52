"""The safety rules, checked against the simulator's ground truth when the world is at rest."""

from collections import Counter
from functools import partial
from typing import Any

from sqlalchemy import func, select

from migrator.db.tables import claims, events, hosts, instances, operations, server_groups, volumes
from migrator.operations import VERIFY
from migrator.protocol import MEMORY, PAUSE_REASON_USER, DomainState
from migrator.scheduler.requests import requests
from tests.world.world import CALLER, World

_RUNS, _PAUSED = 1, 3  # power_state
_WORD_S = 60.0  # for what a client's word begins
_WAITS_FOR_A_WORD = operations.c.active.is_(True) & (operations.c.phase == VERIFY) & operations.c.forward.is_(True)


def broken(world: World) -> list[str]:
    """Every rule that does not hold, in words."""
    return [*_execution(world), *_record(world), *_claims(world), *_timelines(world), *_volumes(world), *groups(world)]


def harm(world: World) -> list[str]:
    """What must not happen at any time, whatever became of the operations."""
    twice = [f"ran twice: {one} {other}" for one, other in world.simulation.overlaps()]
    return [*twice, *(f"lost data: {loss}" for loss in world.simulation.losses), *world.lost, *believed(world)]


def believed(world: World) -> list[str]:
    """Pools that an operation takes for one storage, and that are two."""
    found = []
    with world.db.read() as connection:
        rows = connection.execute(select(operations).where(operations.c.source.is_not(None))).all()
    for row in rows:
        for destination, pools in (row.context or {}).get("shared", {}).items():
            own, other = (world.simulation.hosts[name].pools for name in (row.source, destination))
            names = [name for name in pools if own.get(name) is not other.get(name)]
            found += [f"{row.kind} takes {name} of {row.source} and {destination} for one storage" for name in names]
    return found


def unexplained(world: World) -> list[str]:
    """Operations that are open, act on some host, and say neither why nor for what they wait."""
    with world.db.read() as connection:
        rows = connection.execute(select(operations).where(operations.c.active.is_(True))).all()
    return [f"{row.kind} in {row.phase}" for row in rows if not row.wait_reason and row.phase != "verify"]


def stuck(world: World) -> list[str]:
    """What waits for a client's word can be deleted by one: to its end, or until something is named. This acts, so it
    comes last."""
    with world.db.read() as connection:
        rows = connection.execute(select(operations).where(_WAITS_FOR_A_WORD)).all()
    if not rows:
        return []
    for row in rows:
        world.ask(partial(requests.delete_instance, world.db, CALLER, row.instance_uuid))
    until = world.time + _WORD_S
    world.run(lambda: world.time > until)
    with world.db.read() as connection:
        left = connection.execute(select(operations).where(operations.c.id.in_([row.id for row in rows]))).all()
    left = [row for row in left if row.active and (row.phase == VERIFY or not row.wait_reason)]
    return [f"{row.kind} in {row.phase} hears no word" for row in left]


def _execution(world: World) -> list[str]:
    offers = [f"{name} still offers {list(h.offers)}" for name, h in world.simulation.hosts.items() if h.offers]
    return [*harm(world), *offers]


def _record(world: World) -> list[str]:
    found: list[str] = []
    with world.db.read() as connection:
        rows = connection.execute(select(instances)).all()
    for row in rows:
        gone = row.deleted or (row.vm_state == "error" and row.host is None)
        home = [] if gone else [row.host]
        expected = home if row.power_state == _RUNS else []
        if world.simulation.running_on(row.uuid) != expected:
            found.append(f"record {row.vm_state} on {row.host}, runs on {world.simulation.running_on(row.uuid)}")
        domain = world.simulation.hosts[row.host].domains.get(row.uuid) if home else None
        paused = domain is not None and (domain.state, domain.reason) == (DomainState.PAUSED, PAUSE_REASON_USER)
        if paused is not (row.power_state == _PAUSED):
            found.append(f"record {row.vm_state} on {row.host}, and there: {domain}")
        if row.task_state is not None:
            found.append(f"task_state is still {row.task_state}")
        domains = [name for name, host in world.simulation.hosts.items() if row.uuid in host.domains]
        if domains != home:
            found.append(f"domains on {domains}, record on {home}")
        found += _files(world, row, home)
    return found


def _files(world: World, row: Any, home: list[str]) -> list[str]:
    """Each disk, and the saved memory of a suspended instance, where the record says, with the newest data."""
    found: list[str] = []
    disks = row.spec["disks"]
    places = [(disk["target"], disk["pool"]) for disk in disks]
    saved = row.vm_state == "suspended"
    for target, pool in [*places, (MEMORY, row.spec["home"] or disks[0]["pool"])]:
        wanted = {world.simulation.hosts[name].pools[pool].identity for name in home if target != MEMORY or saved}
        holding = {
            s.identity for s in world.simulation.storages.values() if s.disks.get((row.uuid, target)) is not None
        }
        newest = set(world.simulation.holders_of_newest(row.uuid, target))
        if holding != wanted:
            found.append(f"{target} on {sorted(holding)}, expected {sorted(wanted)}")
        elif not wanted <= newest:
            found.append(f"newest {target} on {sorted(newest)}, record on {sorted(wanted)}")
    return found


def _volumes(world: World) -> list[str]:
    """Each is its instance's as long as there is one, and in no pool is anything that bears its target."""
    found = []
    with world.db.read() as connection:
        owners = {row.id: row.instance_uuid for row in connection.execute(select(volumes)).all()}
        rows = connection.execute(select(instances)).all()
    for row in rows:
        for volume in row.spec["volumes"]:
            if (owners[volume["id"]] == row.uuid) is row.deleted:
                found.append(f"{volume['source']} of {row.uuid} is {owners[volume['id']]}'s")
            copies = [s.identity for s in world.simulation.storages.values() if (row.uuid, volume["target"]) in s.disks]
            found += [f"{volume['source']} was copied to {identity}" for identity in copies]
    return found


def groups(world: World) -> list[str]:
    """No hard server group is broken by where its members are, or run: at any time, for no operator moved one."""
    found: list[str] = []
    where: dict[str, list[tuple[str, set[str]]]] = {}
    with world.db.read() as connection:
        hard = connection.execute(
            select(server_groups).where(server_groups.c.policy.in_(("affinity", "anti-affinity")))
        )
        named = {row.uuid: row for row in hard}
        rows = connection.execute(select(instances).where(instances.c.server_group.in_(named))).all()
    for row in rows:
        if not row.deleted:
            held = set(world.simulation.running_on(row.uuid)) | ({row.host} if row.host else set())
            where.setdefault(row.server_group, []).append((row.uuid, held))
    for uuid, members in where.items():
        group, hosts = named[uuid], Counter(host for _, held in members for host in held)
        most = group.rules.get("max_server_per_host", 1)
        if group.policy == "anti-affinity" and any(count > most for count in hosts.values()):
            found.append(f"anti-affinity is broken: {members}")
        if group.policy == "affinity" and len(members) > 1 and len(hosts) > 1:
            found.append(f"affinity is broken: {members}")
    return found


def _claims(world: World) -> list[str]:
    found = []
    with world.db.read() as connection:
        for host in connection.execute(select(hosts)).all():
            query = select(
                func.coalesce(func.sum(claims.c.vcpus), 0),
                func.coalesce(func.sum(claims.c.memory_mb), 0),
                func.coalesce(func.sum(claims.c.disk_gb), 0),
            ).where(claims.c.host == host.name)
            vcpus, memory, disk_gb = connection.execute(query).one()
            report = host.report
            memory, disk_gb = memory + report["foreign_memory_mb"], disk_gb + report["kept_disks_gb"]
            total = (
                host.vcpus * report["cpu_allocation_ratio"] - vcpus,
                (host.memory_mb - report["reserved_host_memory_mb"]) * report["ram_allocation_ratio"] - memory,
                host.disk_gb * report["disk_allocation_ratio"] - disk_gb,
            )
            if total != (host.free_vcpus, host.free_memory_mb, host.free_disk_gb):
                found.append(f"{host.name}: free {host.free_memory_mb} MiB, its claims leave {total}")
        held = connection.execute(select(claims.c.instance_uuid, claims.c.host).order_by(claims.c.host)).all()
        alive = connection.execute(select(instances.c.uuid, instances.c.host).where(instances.c.host.is_not(None)))
        kept = [(r.uuid, r.host) for r in alive if (r.uuid, r.host) in {tuple(h) for h in held}]
        if len(held) != len(kept):
            found.append(f"claims {held} without an instance there")
        living = select(instances).where(instances.c.deleted.is_(False), instances.c.host.is_not(None))
        if len(held) != len(connection.execute(living).all()):
            found.append(f"claims {held} do not match the living instances")
    return found


def _timelines(world: World) -> list[str]:
    found = []
    with world.db.read() as connection:
        for row in connection.execute(select(operations)).all():
            lines = connection.execute(
                select(events.c.name, events.c.message).where(events.c.operation_id == row.id).order_by(events.c.id)
            )
            written = lines.all()
            names = [line.name for line in written]
            if row.active:
                found.append(f"{row.kind} is still active in {row.phase}: {row.waiting}")
            elif names[-1] != "end":
                found.append(f"{row.kind}'s timeline ends with {names[-1]}")
            alarms = [line.message for line in written if line.name == "alarm"]
            found += [f"{row.kind} raised an alarm: {message}" for message in alarms]
    return found
