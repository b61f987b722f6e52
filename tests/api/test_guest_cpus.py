"""Which CPUs agents are asked to compare: those of guests that the records place on the host that tells of them, few of
each host, and in few bytes, whatever one of the agents invents."""

from typing import Any

from sqlalchemy import func, select

from migrator.db.tables import guest_cpus
from migrator.protocol import GuestCpu, GuestObservation, Survey, guest_cpu
from migrator.scheduler.state import surveys
from tests.api import seed
from tests.api.surveyed_cluster import Cluster


def invented(first: int, count: int, size: int = 40) -> dict[str, GuestCpu]:
    made = [
        GuestCpu(xml=f"<cpu><model>m{n}</model></cpu>".ljust(size), machine="pc") for n in range(first, first + count)
    ]
    return {guest_cpu.key(cpu.arch, cpu.machine, cpu.xml): cpu for cpu in made}


def tell(cluster: Cluster, host: str, cpus: dict[str, GuestCpu], guests: list[str]) -> None:
    """As if each guest saw one of the CPUs."""
    sights = {uuid: GuestObservation(cpu=key) for uuid, key in zip(guests, cpus, strict=False)}
    content = Survey(cpus=cpus, guests=sights).model_dump_json()
    assert cluster.agent("PUT", host, "/survey", content=content).status_code == 204


def asked(cluster: Cluster, host: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.agent("GET", host, "/questions").json()["cpus"]
    return found


def kept(cluster: Cluster, host: str) -> int:
    with cluster.web.db.read() as connection:
        query = select(func.count()).select_from(guest_cpus).where(guest_cpus.c.host == host)
        return int(connection.execute(query).scalar_one())


def test_cpus_of_guests_that_no_record_places_on_the_host_displace_nothing(cluster: Cluster) -> None:
    uuid = cluster.boot()
    cluster.survey()
    before = asked(cluster, "compute3")
    for first in (0, 700):
        tell(cluster, "compute2", invented(first, 700), [uuid, *(f"{n:036}" for n in range(699))])
    assert asked(cluster, "compute3") == before
    assert [cpu["xml"] for cpu in before.values()] == ["<cpu><model>Westmere</model></cpu>"]
    assert cluster.of(uuid, "compute3")["cpu"]["status"] == "passed"


def test_a_host_has_few_cpus_at_a_time_those_first_that_most_of_its_guests_see(cluster: Cluster) -> None:
    guests = [seed.instance(cluster.web.db, f"vm{n}") for n in range(30)]
    for first in (0, 100, 200):
        tell(cluster, "compute1", invented(first, 30), guests)
        assert kept(cluster, "compute1") == surveys.CPUS_PER_HOST
    common, *_ = cpus = invented(300, 20)
    sights = {uuid: GuestObservation(cpu=common) for uuid in guests[:12]}
    sights |= {uuid: GuestObservation(cpu=key) for uuid, key in zip(guests[12:], list(cpus)[1:], strict=False)}
    content = Survey(cpus=cpus, guests=sights).model_dump_json()
    assert cluster.agent("PUT", "compute1", "/survey", content=content).status_code == 204
    assert next(iter(asked(cluster, "compute2"))) == common
    tell(cluster, "compute1", {}, guests)
    assert (kept(cluster, "compute1"), asked(cluster, "compute2")) == (0, {})


def test_what_every_agent_is_sent_is_bounded_in_bytes_and_each_hosts_first_cpu_is_in_it(cluster: Cluster) -> None:
    guests = [seed.instance(cluster.web.db, f"vm{n}") for n in range(20)]
    tell(cluster, "compute1", invented(0, 2, surveys.CPU_XML_MAX + 1), guests)
    assert asked(cluster, "compute2") == {}
    first = {}
    with cluster.web.db.write() as connection:
        for number in range(30):
            for place, (key, cpu) in enumerate(invented(100 * number, 16, surveys.CPU_XML_MAX).items()):
                row = {"host": f"h{number}", "key": key, "place": place, "seen_at": 4e9, "body": cpu.model_dump()}
                connection.execute(guest_cpus.insert().values(**row))
                if place == 0:
                    first[key] = cpu.model_dump()
    answer = cluster.agent("GET", "compute2", "/questions")
    assert len(answer.content) < 1.2 * 2**20
    assert first.items() <= answer.json()["cpus"].items()
