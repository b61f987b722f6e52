"""Reads what the servers' answer to lost hosts is decided by: rows become ``SilentHost``. Changes nothing."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from migrator.db import aggregates, drains, hosts, recoveries
from migrator.db.engine import Connection
from migrator.db.fencing import succeeded_before_s
from migrator.db.rows import HostRow
from migrator.scheduler.fleet.plan.ha_policy import HA_KEY, HaPolicy, policy_of
from migrator.scheduler.fleet.plan.loss_response import Loss, Rules, SilentHost, too_many
from migrator.scheduler.fleet.plan.vocabulary import EVACUATION, DrainState
from migrator.scheduler.state import fencing
from migrator.scheduler.state.fencing import Evidence
from migrator.scheduler.state.host_views import host_view
from migrator.settings import ServerSettings

_TOGETHER_FROM_S = 20.0  # of silence a host counts as silent together with others: agents poll at least every 10 s


@dataclass(frozen=True, slots=True)
class Silent:
    """``rows``: of the hosts; ``evidence``: host -> its evidence, where there is any."""

    hosts: Sequence[SilentHost]
    rows: Mapping[str, HostRow]
    evidence: Mapping[str, Evidence]


def rules_of(settings: ServerSettings) -> Rules:
    silence_s = max(settings.ha_silence, settings.service_down_time)
    return Rules(settings.ha_max_lost, settings.ha_fence == "automatic", silence_s)


def read(connection: Connection, settings: ServerSettings) -> Silent:
    """Every host that is silent, or was forced down and does not answer; and those that soon will be, ``early``:
    hosts that one switch cuts off were last heard up to a poll apart, and are counted before the first is due."""
    early_s = min(_TOGETHER_FROM_S, settings.service_down_time)
    rows = {row.name: row for row in recoveries.silent(connection, early_s)}
    heard = {name for name, row in rows.items() if host_view(row, settings.service_down_time).heard}
    rows = {name: row for name, row in rows.items() if name not in heard or row.silent_s > early_s}
    if not rows:
        return Silent((), {}, {})
    evidence = {name: one for name, row in rows.items() if (one := evidence_of(row, settings)) is not None}
    recorded, counted = _to_recover(connection, rows, settings)
    active = {row.host: row for row in drains.active_of(connection, list(rows))}
    begun, asked = recoveries.of_losses(connection, rows.values()), recoveries.asked_for(connection, rows.values())
    stalled = recoveries.stalled(connection, rows)
    found = [
        SilentHost(
            name,
            row.silent_s,
            counted[name],
            Loss.TAKEN if name in asked else _loss(begun.get(name), name in stalled),
            evidence[name].message if name in evidence else "",
            fencing.wanted(row),
            host_view(row, settings.service_down_time).awaited and name not in evidence,
            row.disabled,
            f"{active[name].kind} {active[name].uuid}" if name in active and active[name].kind != EVACUATION else "",
            succeeded_before_s(row),
            _failure(row),
            recorded[name],
            name in heard,
            name in active and DrainState(active[name].state) not in (DrainState.RUNNING, DrainState.BLOCKED),
        )
        for name, row in rows.items()
    ]
    return Silent(found, rows, evidence)


def evidence_of(row: HostRow, settings: ServerSettings) -> Evidence | None:
    """Why the servers may take the host's instances away on their own; None: they may not."""
    return None if host_view(row, settings.service_down_time).heard else fencing.evidence(row, settings)


def hindrance(connection: Connection, host: str, settings: ServerSettings) -> str:
    """Why a recovery of the host begins nothing more now; "": it may. Raises HostNotFound."""
    row = hosts.get(connection, host)
    if evidence_of(row, settings) is None:
        return f"nothing is evacuated: nothing says any more that {row.name} runs nothing. {fencing.wanted(row)}"
    return too_many(read(connection, settings).hosts, rules_of(settings))


def policies_of_hosts(connection: Connection, names: Collection[str]) -> Mapping[str, Collection[str]]:
    """Host -> what the metadata of its aggregates says of ``ha_policy``."""
    found = aggregates.metadata(connection, names)
    return {name: keys[HA_KEY] for name, keys in found.items() if HA_KEY in keys}


_LOSSES = {None: Loss.OPEN, True: Loss.RECOVERING, False: Loss.OVER}


def _loss(active: bool | None, stalled: bool) -> Loss:
    return Loss.STALLED if active and stalled else _LOSSES[active]


def _to_recover(
    connection: Connection, names: Collection[str], settings: ServerSettings
) -> tuple[Counter[str], Counter[str]]:
    """Host -> how many instances it has, and how many of these are evacuated when it is lost."""
    policies, recorded, found = policies_of_hosts(connection, names), Counter[str](), Counter[str]()
    for row in recoveries.metadata_on(connection, names):
        answer = policy_of(row.metadata or {}, policies.get(row.host, ()), settings.ha_policy)
        recorded[row.host] += 1
        found[row.host] += answer.policy is HaPolicy.EVACUATE
    return recorded, found


def _failure(row: HostRow) -> str:
    attempt = row.fence_attempt or {}
    return str(attempt.get("words") or "") if attempt.get("ok") is False else ""
