"""The server's side of what agents look at when nothing is moved: what they are asked, what they found.

Owns how often they look. Never decides anything: ``filters.py`` judges what is known here.
"""

from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from migrator import guest_cpu
from migrator.db import hosts, surveys
from migrator.db.clock import now
from migrator.db.engine import Connection, Database
from migrator.errors import HostNotFound
from migrator.protocol import GuestCpu, Peer, Questions, Survey
from migrator.scheduler import entitlements
from migrator.scheduler.finding import Surveyed
from migrator.scheduler.unexplained import unexplained
from migrator.settings import ServerSettings

PEERS_MAX = 100  # that one host is asked to look at
_AGAIN_S = 5.0  # between two surveys of one host, at the least
_SURVEYS_A_SECOND = 3.0  # of all hosts together: in a cluster of a thousand each costs 40 ms


def questions(db: Database, host: str, settings: ServerSettings) -> Questions:
    """What the host's agent should look at: the hosts that are up (in a large cluster those to which its instances
    would be moved), every CPU that a guest anywhere sees, and the volumes of its own instances and operations."""
    with db.read() as connection:
        up = surveys.count_up(connection, settings.service_down_time)
        peers = surveys.peers(connection, host, settings.service_down_time, PEERS_MAX)
        cpus = surveys.cpus(connection)
        sources = entitlements.volume_sources(connection, host)
        moment = now(connection)
    return Questions(
        now=moment,
        again_s=max(_AGAIN_S, up / _SURVEYS_A_SECOND),
        peers=tuple(Peer.model_construct(name=row.name, uri=row.uri) for row in peers if row.uri),
        cpus={key: GuestCpu.model_construct(**body) for key, body in cpus.items()},
        volumes=sources,
    )


def accept(db: Database, host: str, survey: Survey) -> None:
    """Keep it in place of the last one. Raises HostNotFound."""
    with db.write() as connection:
        if not hosts.lock(connection, [host]):  # that it is not removed meanwhile
            raise HostNotFound(f"Host {host} is not registered", advice="register it first")
        # On shared storage every host sees every instance's directory: what is explained is not kept for each of them.
        leftovers = tuple(one for one, _ in unexplained(connection, host, survey.leftovers))
        survey = survey.model_copy(update={"leftovers": leftovers})
        surveys.keep(connection, host, survey.model_dump(mode="json", exclude_defaults=True))
        cpus = {key: cpu for key, cpu in survey.cpus.items() if _own(key, cpu)}
        surveys.keep_cpus(connection, {key: cpu.model_dump(mode="json") for key, cpu in cpus.items()})


def _own(key: str, cpu: GuestCpu) -> bool:
    """Whether the CPU goes by its own key: under another's it would be compared in that one's place."""
    return guest_cpu.key(cpu.arch, cpu.machine, cpu.xml) == key


def load(
    connection: Connection, names: Collection[str] | None, about: Collection[str] | None, guests: Collection[str] = ()
) -> dict[str, Surveyed]:
    """The newest survey of each of these hosts (None: of all) that has one. Of what it says of peers and guests only
    what is ``about`` these hosts (None: all) and these instances is read: in a large cluster that is little of it."""
    found = {name: _surveyed(row, about, guests) for name, row in surveys.of_hosts(connection, names).items()}
    return {name: surveyed for name, surveyed in found.items() if surveyed is not None}


def _surveyed(row: Any, about: Collection[str] | None, guests: Collection[str]) -> Surveyed | None:
    body = dict(row.body)
    if about is not None:
        body["peers"] = {name: reach for name, reach in body.get("peers", {}).items() if name in about}
    body["guests"] = {uuid: sight for uuid, sight in body.get("guests", {}).items() if uuid in guests}
    try:
        return Surveyed(Survey.model_validate(body), row.age_s)
    except ValidationError:  # of another version; its agent tells anew in a moment
        return None
