"""The CPU model that every one of some hosts can run, as libvirt works it out.

Any libvirtd will do: it computes from what the hosts told of their CPUs, and asks none of them. Changes nothing.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.compute.libvirt.bindings import connections
from migrator.compute.libvirt.bindings.hosts import baseline_cpu
from migrator.errors import Conflict
from migrator.protocol import HostCpu


@dataclass(frozen=True, slots=True)
class Baseline:
    """``model``: for ``cpu_models``; ``xml``: all that the hosts' CPUs have in common, which may be more than a model;
    ``models``: every model that all of the hosts can run."""

    model: str
    xml: str
    models: tuple[str, ...]


def baseline(uri: str, hosts: Mapping[str, HostCpu]) -> Baseline:
    """Computed by the libvirtd at ``uri``. Raises Conflict when the hosts have no model in common or have not told of
    their CPUs, DriverError."""
    arch, virt_type = _alike(hosts)
    models = _common_models(hosts)
    control = connections.connect(uri)
    try:
        cpus = [cpu.xml for cpu in hosts.values()]
        xml = control.call(lambda connection: baseline_cpu(connection, arch, virt_type, cpus))
        named = ET.fromstring(xml).findtext("model", "")
        model = named if named in models else control.call(lambda c: _richest(c, arch, virt_type, models))
    finally:
        control.close()
    return Baseline(model, xml, models)


def _alike(hosts: Mapping[str, HostCpu]) -> tuple[str, str]:
    """Architecture and domain type of them all."""
    silent = sorted(name for name, cpu in hosts.items() if not cpu.xml)
    if silent or not hosts:
        raise Conflict(
            f"nothing is known of the CPU of {', '.join(silent) or 'any host'}",
            advice="see whether its agent runs; it tells within a minute",
        )
    kinds = sorted({(cpu.arch, cpu.virt_type) for cpu in hosts.values()})
    if len(kinds) > 1:
        told = ", ".join(f"{name}: {cpu.arch} by {cpu.virt_type}" for name, cpu in sorted(hosts.items()))
        raise Conflict(f"the hosts are too different: {told}", advice="name hosts of one kind")
    return kinds[0]


def _common_models(hosts: Mapping[str, HostCpu]) -> tuple[str, ...]:
    first, *others = hosts.values()
    models = tuple(model for model in first.models if all(model in cpu.models for cpu in others))
    if not models:
        raise Conflict("the hosts have no CPU model in common", advice="name fewer hosts")
    return models


def _richest(connection: Any, arch: str, virt_type: str, models: Sequence[str]) -> str:
    """The model with most features; of equals the first by name."""
    return min(models, key=lambda model: (-_features(connection, arch, virt_type, model), model))


def _features(connection: Any, arch: str, virt_type: str, model: str) -> int:
    cpu = f"<cpu mode='custom' match='exact'><model fallback='forbid'>{model}</model></cpu>"
    expanded = ET.fromstring(baseline_cpu(connection, arch, virt_type, [cpu], expand=True))
    return sum(feature.get("policy") != "disable" for feature in expanded.findall("feature"))
