"""os-getConsoleOutput: what agents told of a guest's console, to those who may read it."""

from typing import Any

import pytest

from migrator.compute.agent.console_teller import ConsoleTeller
from migrator.compute.simulated.driver import SimulatedHypervisor
from migrator.db import consoles, instances
from migrator.protocol import Consoles
from tests.api import seed
from tests.api.surveyed_cluster import Cluster

BOOT = "a simulated guest boots\n"


def ask(cluster: Cluster, uuid: str, version: str = "2.96", **value: Any) -> Any:
    return cluster.web("POST", f"/v2.1/servers/{uuid}/action", version, json={"os-getConsoleOutput": value})


def output(cluster: Cluster, uuid: str, **value: Any) -> str:
    answer = ask(cluster, uuid, **value)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["output"]
    return str(answer.json()["output"])


def tell(cluster: Cluster, host: str = "compute1") -> None:
    told = Consoles(pieces=ConsoleTeller(SimulatedHypervisor(host, cluster.simulation)).untold())
    answer = cluster.agent("PUT", host, "/consoles", content=told.model_dump_json())
    assert answer.status_code == 204, answer.text


def test_it_is_what_the_guest_wrote(cluster: Cluster) -> None:
    uuid = cluster.boot()
    assert output(cluster, uuid) == ""
    tell(cluster)
    cluster.simulation.write_console(uuid, "ready")
    tell(cluster)
    assert output(cluster, uuid) == f"{BOOT}ready\n"


@pytest.mark.parametrize(
    ("length", "expected"),
    [(None, "1\n2\n3"), (-1, "1\n2\n3"), ("-1", "1\n2\n3"), (2, "2\n3"), ("1", "3"), (0, ""), ("9" * 5000, "1\n2\n3")],
)
def test_length_counts_lines_from_the_end(cluster: Cluster, length: Any, expected: str) -> None:
    uuid = seed.instance(cluster.web.db, "web")
    cluster.simulation.hosts["compute1"].consoles[uuid] = b"1\n2\n3"
    tell(cluster)
    assert output(cluster, uuid, length=length) == expected


@pytest.mark.parametrize("length", ["many", -2, 1.5, True, [], {}, ""])
def test_a_length_that_is_no_number_of_lines_is_refused(cluster: Cluster, length: Any) -> None:
    uuid = seed.instance(cluster.web.db, "web")
    assert ask(cluster, uuid, length=length).status_code == 400
    assert ask(cluster, uuid, lines=1).status_code == 400


def test_the_text_is_valid_and_has_no_controls(cluster: Cluster) -> None:
    uuid = seed.instance(cluster.web.db, "web")
    cluster.simulation.hosts["compute1"].consoles[uuid] = b"\x1b[1mbold\x00\r\n\ttab \xff\xc3\xa9\n"
    tell(cluster)
    assert output(cluster, uuid) == "[1mbold\n\ttab �é\n"


def test_a_server_without_a_host_is_not_ready_and_an_unknown_one_is_not_found(cluster: Cluster) -> None:
    uuid = seed.instance(cluster.web.db, "web", host=None, vm_state="building")
    answer = ask(cluster, uuid)
    assert (answer.status_code, answer.json()["conflictingRequest"]["message"]) == (
        409,
        f"Instance {uuid} is not ready",
    )
    assert ask(cluster, seed.NOBODY).status_code == 404


def test_a_locked_server_is_read_all_the_same(cluster: Cluster) -> None:
    uuid = seed.instance(cluster.web.db, "web", locked_by="admin")
    assert output(cluster, uuid) == ""


def test_a_host_tells_only_of_servers_that_were_its_own(cluster: Cluster) -> None:
    uuid = seed.instance(cluster.web.db, "web")
    cluster.simulation.hosts["compute2"].consoles[uuid] = b"a lie\n"
    cluster.simulation.hosts["compute2"].consoles[seed.NOBODY] = b"of nothing\n"
    tell(cluster, "compute2")
    assert output(cluster, uuid) == ""


def test_the_log_of_a_deleted_server_is_gone_and_stays_so(cluster: Cluster) -> None:
    uuid = cluster.boot()
    tell(cluster)
    with cluster.web.db.write() as connection:
        instances.terminated(connection, uuid)
        consoles.remove(connection, uuid)
    tell(cluster)
    with cluster.web.db.read() as connection:
        assert consoles.log(connection, uuid) == b""


@pytest.mark.parametrize("text", ["====", "a", "é", "A" * 70_000])
def test_a_piece_that_cannot_be_read_is_refused(cluster: Cluster, text: str) -> None:
    piece = {"instance": seed.NOBODY, "file": 1, "start": 0, "size": 1, "live": True, "text": text}
    assert cluster.agent("PUT", "compute1", "/consoles", json={"pieces": [piece]}).status_code == 400
