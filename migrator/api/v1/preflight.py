"""``/v1/preflight``: every host with every check, before anything is moved; ``/v1/cpus``: what hosts can give a guest.

Both only read.
"""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.checks import CHECKS
from migrator.db import hosts
from migrator.errors import BadRequest
from migrator.scheduler.checks.filters import CODES, EVACUATION_CODES
from migrator.scheduler.checks.finding import KNOWN_S, CheckFinding, Status
from migrator.scheduler.placement import evacuation_preflight, preflight
from migrator.scheduler.placement.evacuation_preflight import EvacuationPreflight
from migrator.scheduler.placement.preflight import HostChecks, Preflight
from migrator.scheduler.state import surveys

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class PreflightQuery(BaseModel):
    server: Name | None = Field(None, description="an instance's UUID")
    source: Name | None = Field(None, alias="from", description="a host: all of its instances")
    evacuate: Name | None = Field(None, description="a host: all of its instances, were it lost")
    to: list[Name] | None = Field(None, description="destinations; without it every host")


class CpusQuery(BaseModel):
    host: list[Name] | None = None


def show(request: ApiRequest) -> Answer:
    """What a live migration would be told. A check is ``passed``, ``failed`` or ``unknown``; what has been known for
    longer than ``known_s`` seconds is unknown. With ``evacuate``: what an evacuation would be told, and which disks
    would be kept and which made anew. Errors: 400 unless there is one of ``server``, ``from`` and ``evacuate``; 404."""
    query: PreflightQuery = request.query
    services, wanted = request.services, frozenset(query.to or ())
    if [query.server, query.source, query.evacuate].count(None) != 2:
        raise BadRequest("Expected one of server=UUID, from=HOST and evacuate=HOST")
    if query.evacuate is not None:
        return Answer(200, _evacuation(services, query.evacuate, wanted))
    down_after = services.settings.service_down_time
    with services.db.read() as connection:
        if query.server is not None:
            found = preflight.of_instance(connection, query.server, wanted, down_after)
        else:
            found = preflight.of_host(connection, str(query.source), wanted, down_after)
    asks = [{"code": code, "asks": CHECKS[code].asks} for code in CODES]
    return Answer(200, {"known_s": KNOWN_S, "checks": asks, "preflight": [_view(one) for one in found]})


def _evacuation(services: Services, host: str, to: frozenset[str]) -> dict[str, Any]:
    with services.db.read() as connection:
        found = evacuation_preflight.of_host(connection, host, to, services.settings)
    told = [
        _view(one.preflight) | {"disks": _disks(one), "refusal": one.refusal or None, "loses_data": one.loses_data}
        for one in found
    ]
    asks = [{"code": code, "asks": CHECKS[code].asks} for code in EVACUATION_CODES]
    return {"known_s": KNOWN_S, "checks": asks, "preflight": told}


def _disks(one: EvacuationPreflight) -> list[dict[str, Any]]:
    """``proof_age_s``: of what is kept in a pool, the seconds between the host's last proof there and its last word;
    null where it never wrote one."""
    ages = {pool: round(age_s, 3) for pool, age_s in one.proof_ages.items()}
    return [{**fate, "proof_age_s": ages.get(fate["pool"]) if fate["kept"] else None} for fate in one.disks]


def cpus(request: ApiRequest) -> Answer:
    """What each host's hypervisor can give a guest, by the survey of its agent; ``cpu`` is null where there is none.
    Errors: 404."""
    query: CpusQuery = request.query
    host = query.host
    with request.services.db.read() as connection:
        rows = [hosts.get(connection, name) for name in dict.fromkeys(host)] if host else hosts.every(connection)
        seen = surveys.load(connection, [row.name for row in rows] if host else None, ())
    return Answer(200, {"cpus": [_cpu(row.name, seen.get(row.name)) for row in rows]})


def _cpu(name: str, surveyed: Any) -> dict[str, Any]:
    if surveyed is None or surveyed.unreadable:
        return {"host": name, "cpu": None, "age_s": None}
    return {"host": name, "cpu": surveyed.survey.cpu.model_dump(mode="json"), "age_s": round(surveyed.age_s, 3)}


def _view(found: Preflight) -> dict[str, Any]:
    row = found.instance
    server = {"id": row.uuid, "name": row.name, "host": row.host, "vm_state": row.vm_state}
    return {"server": server, "hosts": [_host(judged) for judged in found.hosts]}


def _host(judged: HostChecks) -> dict[str, Any]:
    checks = [check_view(code, finding) for code, finding in judged.findings]
    return {"host": judged.host, "status": judged.status.value, "checks": checks}


def check_view(code: str, finding: CheckFinding) -> dict[str, Any]:
    return {
        "code": code,
        "status": finding.status.value,
        "message": finding.message,
        "found": {"source": finding.source, "destination": finding.destination},
        "advice": CHECKS[code].advice if finding.status is Status.FAILED else None,
        "age_s": round(finding.age_s, 3),
    }
