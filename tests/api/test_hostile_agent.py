"""An agent that was broken into says the worst it can over HTTP: it harms its own host, and no other one."""

from typing import Any

import pytest
from sqlalchemy import select, update

from migrator.db import credentials, volumes
from migrator.db.tables import hosts, operations
from tests.api import seed
from tests.api.harness import Web
from tests.api.seed import NOBODY

GOOD: dict[str, Any] = {
    "vcpus": 8,
    "memory_mb": 16384,
    "address": "10.0.0.1",
    "live_migration_uri": "qemu+tcp://10.0.0.1/system",
}
READERS = (
    "/v2.1/os-services",
    "/v2.1/os-hypervisors/detail",
    "/v2.1/os-availability-zone/detail",
    "/v1/preflight?from=compute2",
    "/metrics",
)


class Hostile:
    """The agent of ``compute1``, with a credential that is its own."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self._token = credentials.issue(web.db, "compute1")

    def __call__(self, method: str, path: str, content: str) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        return self.web(method, f"/agent/v1/hosts/compute1{path}", None, headers=headers, content=content)

    def fetch(self, image_id: str) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self.web("GET", f"/agent/v1/images/{image_id}/file", None, headers=headers)

    def register(self, incarnation: str = "1", **report: str) -> Any:
        """``report``: JSON text of each field."""
        fields = {key: f'"{value}"' if isinstance(value, str) else str(value) for key, value in GOOD.items()} | report
        inside = ", ".join(f'"{key}": {value}' for key, value in fields.items())
        return self("PUT", "", f'{{"incarnation": {incarnation}, "report": {{{inside}}}}}')


@pytest.fixture
def hostile(web: Web) -> Hostile:
    return Hostile(web)


def stored(web: Web) -> Any:
    with web.db.read() as connection:
        return connection.execute(select(hosts.c.report).where(hosts.c.name == "compute1")).scalar_one()


@pytest.mark.parametrize(
    "report",
    [
        {"self_fencing_lease_s": "Infinity"},
        {"self_fencing_lease_s": "NaN"},
        {"self_fencing_lease_s": "1e400"},
        {"vcpus": "9" * 5000},
        {"cpu_topology": '{"sockets": 18446744073709551616}'},
        {"cpu_model": '"a\\u0000b"'},
        {"cpu_model": '"a\\ud800b"'},
        {"cpu_model": f'"{"x" * 5000}"'},
        {"networks": "[" + ",".join(['"n"'] * 10_001) + "]"},
        {"cpu_topology": "[" * 1000 + "]" * 1000},
        {"networks": "[" + ",".join(['"n"'] * 257) + "]"},
        {"networks": f'["{"n" * 256}"]'},
        {"machine_types": "[" + ",".join(['"m"'] * 1001) + "]"},
        {"cpu_features": f'["{"f" * 129}"]'},
        {"storage": "{" + ",".join(f'"{n}": {{}}' for n in range(65)) + "}"},
    ],
    ids=lambda report: next(iter(report)),
)
def test_a_description_that_cannot_be_kept_is_refused_and_everybody_else_goes_on(
    hostile: Hostile, report: dict[str, str]
) -> None:
    before = stored(hostile.web)
    answer = hostile.register(**report)
    assert answer.status_code == 400, answer.text[:300]
    assert stored(hostile.web) == before
    assert {path: hostile.web("GET", path).status_code for path in READERS} == dict.fromkeys(READERS, 200)


def test_an_agent_from_the_future_is_not_registered(hostile: Hostile) -> None:
    answer = hostile.register(incarnation=str(2**40))
    assert answer.status_code == 400
    assert "lies in the future" in answer.text
    assert hostile.register(incarnation=str(2**63 - 1)).status_code == 400


@pytest.mark.parametrize("bad", [{"self_fencing_lease_s": None}, {"vcpus": "many"}, {"storage": {"local": 1}}])
def test_a_stored_description_that_cannot_be_read_is_one_unusable_host_that_says_so(
    web: Web, bad: dict[str, Any]
) -> None:
    seed.instance(web.db, "vm", host="compute2")
    with web.db.write() as connection:
        report = connection.execute(select(hosts.c.report).where(hosts.c.name == "compute1")).scalar_one()
        connection.execute(update(hosts).where(hosts.c.name == "compute1").values(report=report | bad))
    assert {path: web("GET", path).status_code for path in READERS} == dict.fromkeys(READERS, 200)
    found = {service["host"]: service for service in web("GET", "/v2.1/os-services").json()["services"]}
    assert (found["compute1"]["state"], found["compute2"]["state"]) == ("down", "up")
    assert "cannot be read" in found["compute1"]["disabled_reason"]
    assert found["compute2"]["disabled_reason"] is None


@pytest.mark.parametrize("uri", ["qemu+ext:///system?command=/tmp/run", "qemu+ssh://10.0.0.1/system"])
def test_an_address_that_would_run_programs_on_other_hosts_is_refused_and_one_that_is_stored_makes_its_host_unusable(
    hostile: Hostile, uri: str
) -> None:
    web, before = hostile.web, stored(hostile.web)
    answer = hostile.register(live_migration_uri=f'"{uri}"')
    assert answer.status_code == 400
    assert "live_migration_uri" in answer.text
    assert "expected qemu+tcp://HOST" in answer.text
    assert hostile.register(address='"10.0.0.1/x"').status_code == 400
    assert stored(web) == before
    with web.db.write() as connection:  # by an older server
        report = before | {"live_migration_uri": uri}
        connection.execute(update(hosts).where(hosts.c.name == "compute1").values(report=report))
    assert {path: web("GET", path).status_code for path in READERS} == dict.fromkeys(READERS, 200)
    service = next(s for s in web("GET", "/v2.1/os-services").json()["services"] if s["host"] == "compute1")
    assert service["state"] == "down"
    assert "cannot be read" in service["disabled_reason"]
    assert "live_migration_uri" in service["disabled_reason"]


def held(web: Web, ident: str) -> str:
    """An image with these bytes, and an instance of it on ``compute2``."""
    seed.image(web.db, ident)
    web.image_dir.mkdir(exist_ok=True)
    (web.image_dir / ident).write_bytes(b"secret")
    spec = {"uuid": ident, "name": "vm", "vcpus": 1, "memory_mb": 64}
    spec |= {"images": [{"id": ident, "size_bytes": 6, "checksum_sha256": "0" * 64, "disk_format": "raw"}]}
    return seed.instance(web.db, "vm", uuid=ident, host="compute2", spec=spec)


def fetched(hostile: Hostile, ident: str) -> tuple[int, str]:
    answer = hostile.fetch(ident)
    return answer.status_code, answer.text


def test_an_agent_fetches_an_image_only_while_an_operation_asks_its_host_for_an_instance_of_it(
    hostile: Hostile,
) -> None:
    web, other = hostile.web, "11111111-1111-4111-8111-111111111111"
    ident = held(web, seed.IMAGE)
    held(web, other)
    status, message = fetched(hostile, ident)
    assert status == 403
    assert f"No operation under way names image {ident} to compute1" in message
    assert fetched(hostile, NOBODY)[0] == 403  # nor does it learn which images there are
    for way in ({"source": "compute2", "destination": "compute1", "phase": "prepare"}, {"phase": "cleanup"}):
        row = seed.migration(web.db, ident, "running", **way)
        assert fetched(hostile, ident) == (200, "secret")
        assert fetched(hostile, other)[0] == 403
        with web.db.write() as connection:
            connection.execute(update(operations).where(operations.c.id == row).values(active=False))
        assert fetched(hostile, ident)[0] == 403
    seed.migration(web.db, ident, "running", source="compute2", destination="compute1", phase="claim")
    assert fetched(hostile, ident)[0] == 403  # nothing is asked of the host yet
    for pattern in ("%25", "_", "..%2f"):
        assert fetched(hostile, pattern)[0] in (403, 404)


def test_an_image_that_was_deleted_is_fetched_by_a_host_that_is_asked_for_an_instance_of_it(hostile: Hostile) -> None:
    web = hostile.web
    ident = held(web, seed.IMAGE)
    assert web("DELETE", f"/image/v2/images/{ident}").status_code == 204
    assert fetched(hostile, ident)[0] == 403
    seed.migration(web.db, ident, "running", source="compute2", destination="compute1", phase="prepare")
    assert fetched(hostile, ident) == (200, "secret")


def test_an_agent_learns_only_of_volumes_of_its_own_instances_and_of_those_that_come(hostile: Hostile) -> None:
    web, sources = hostile.web, {}
    for name in ("here", "elsewhere", "coming"):
        uuid = seed.instance(web.db, name, host="compute1" if name == "here" else "compute2")
        sources[name] = f"nbd://10.0.0.9:10809/{name}"
        with web.db.write() as connection:
            volumes.attach(connection, volumes.create(connection, name, sources[name], 1, None), uuid, "vdb")
        if name == "coming":
            seed.migration(web.db, uuid, "running", source="compute2", destination="compute1", phase="check")
    asked = hostile("GET", "/questions", "").json()
    assert sorted(asked["volumes"]) == [sources["coming"], sources["here"]]


def test_the_longest_description_makes_no_answer_long(hostile: Hostile) -> None:
    names = ",".join(f'"{number:0255}"' for number in range(256))
    message = ",".join(f'"{number:0128}"' for number in range(1000))
    answer = hostile.register(networks=f"[{names}]", machine_types=f"[{message}]", cpu_features=f"[{message}]")
    assert answer.status_code == 204, answer.text
    seed.instance(hostile.web.db, "vm", host="compute2")
    assert len(hostile.web("GET", "/v1/preflight?from=compute2").content) < 20_000
    too_much = '{"kept": [' + ",".join(['{"instance":"i","operation":"o","pool":"p","path":"/x"}'] * 2001) + "]}"
    assert hostile("PUT", "/survey", too_much).status_code == 400
