"""What agents found when nothing was moved: kept, and read again. What they are asked is ``questions.py``'s.

Owns when an agent looks for the first time, and that each row stands alone: a host whose survey cannot be read is
unusable and says so. Never decides anything: ``filters.py`` judges what is known here.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from migrator.db import hosts, surveys
from migrator.db.engine import Connection, Database
from migrator.errors import HostNotFound
from migrator.protocol import GuestCpu, Survey, guest_cpu
from migrator.scheduler.checks.finding import SurveyRecord
from migrator.scheduler.state.unexplained_files import unexplained

CPUS_PER_HOST = 16  # different ones that its guests see
CPU_XML_MAX = 2**14  # characters; libvirt's longest is some 10 KiB
FIRST_AT_ONCE = 20  # hosts whose agents make their first survey when they start
_FIRST_A_SECOND = 10.0  # of more hosts


def first_within_s(hosts: int) -> float:
    """Within how long, of so many hosts that poll, an agent that has just started makes its first survey."""
    return hosts / _FIRST_A_SECOND if hosts > FIRST_AT_ONCE else 0.0


def accept(db: Database, host: str, survey: Survey) -> None:
    """Keep it in place of the last one. Raises HostNotFound."""
    with db.write() as connection:
        if not hosts.lock(connection, [host]):  # so that it is not removed until this ends
            raise HostNotFound(f"Host {host} is not registered", advice="register it first")
        # On shared storage every host sees every instance's directory: what is explained is not kept for each of them.
        leftovers = tuple(one for one, _ in unexplained(connection, host, survey.leftovers))
        cpus = _of_guests(connection, host, survey)
        survey = survey.model_copy(update={"leftovers": leftovers, "cpus": cpus})
        surveys.upsert(connection, host, survey.model_dump(mode="json", exclude_defaults=True))
        surveys.upsert_cpus(connection, host, {key: cpu.model_dump(mode="json") for key, cpu in cpus.items()})


def _of_guests(connection: Connection, host: str, survey: Survey) -> dict[str, GuestCpu]:
    """The CPUs of instances that are recorded on the host, what most of them see first. An agent that invents others
    finds no host that compares them."""
    recorded = surveys.recorded(connection, host, survey.guests)
    named = Counter(guest.cpu for uuid, guest in survey.guests.items() if uuid in recorded and guest.cpu is not None)
    likely = [key for key, _ in sorted(named.items(), key=lambda one: (-one[1], one[0])) if key in survey.cpus]
    fitting = [key for key in likely if len(survey.cpus[key].xml) <= CPU_XML_MAX and _own(key, survey.cpus[key])]
    return {key: survey.cpus[key] for key in fitting[:CPUS_PER_HOST]}


def _own(key: str, cpu: GuestCpu) -> bool:
    """Whether the CPU goes by its own key: under another's it would be compared in that one's place."""
    return guest_cpu.key(cpu.arch, cpu.machine, cpu.xml) == key


def load(
    connection: Connection, names: Collection[str] | None, about: Collection[str] | None, guests: Collection[str] = ()
) -> dict[str, SurveyRecord]:
    """The newest survey of each of these hosts (None: of all) that has one. Of what it says of peers and guests only
    what is ``about`` these hosts (None: all) and these instances is read: in a large cluster that is little of it."""
    rows = surveys.of_hosts(connection, names)
    return {name: _surveyed(row.body, row.age_s, about, guests) for name, row in rows.items()}


def _surveyed(body: Any, age_s: float, about: Collection[str] | None, guests: Collection[str]) -> SurveyRecord:
    try:
        part = {**body, "guests": _only(body.get("guests", {}), guests)}
        if about is not None:
            part["peers"] = _only(body.get("peers", {}), about)
        return SurveyRecord(Survey.model_validate(part), age_s)
    except ValidationError as error:
        found = fields(error)
    except (AttributeError, TypeError) as error:  # not even a mapping
        found = str(error)
    message = f"what its agent found cannot be read ({found}); its agent looks again within a minute, if it is up"
    return SurveyRecord(Survey(), age_s, message)


def _only(found: Any, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in names}


def fields(error: ValidationError) -> str:
    return ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)}))
