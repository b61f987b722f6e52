"""What an evacuation says of disks: beforehand, in its answer, in the timeline and in its record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from migrator.db.engine import Database
from migrator.db.tables import hosts, images, operations
from tests.api import seed
from tests.api.harness import Web

UUID = "5f0c6c52-7b1f-4d43-a4a3-9f0d2a2b0001"
SPEC = {
    "uuid": UUID,
    "name": "a",
    "vcpus": 1,
    "memory_mb": 64,
    "disks": [
        {"target": "vda", "pool": "local", "size_gb": 1, "image_id": seed.IMAGE},
        {"target": "vdb", "pool": "shared", "size_gb": 1},
        {"target": "vdc", "pool": "local", "size_gb": 1},
        {"target": "hdd", "pool": "local", "size_gb": 0, "config_drive": True},
    ],
}
FATES = [
    {"target": "vda", "pool": "local", "kept": False, "made_from": "image", "image_id": seed.IMAGE},
    {"target": "vdb", "pool": "shared", "kept": True, "made_from": None, "image_id": None},
    {"target": "vdc", "pool": "local", "kept": False, "made_from": "empty", "image_id": None},
    {"target": "hdd", "pool": "local", "kept": False, "made_from": "config drive", "image_id": None},
]
WORDS = (
    f"vda is made anew (from image {seed.IMAGE}), vdb is kept, vdc is made anew (empty), "
    "hdd is made anew (config drive)"
)


class Cloud:
    def __init__(self, db: Database, root: Path, **settings: Any) -> None:
        self.db, self.web = db, Web(db, root, **settings)
        seed.host(db, "n3", last_seen=1.0, forced_down=True)
        seed.host(db, "n1")
        seed.host(db, "n2")
        seed.pools(db, "n1", local="id-1", shared="both")
        seed.pools(db, "n2", local="id-2", other="else")
        seed.pools(db, "n3", local="id-3", shared="both")
        seed.image(db, seed.IMAGE)
        self.uuid = seed.instance(db, "a", host="n3", uuid=UUID, spec=SPEC)

    def preflight(self) -> Any:
        answer = self.web("GET", "/v1/preflight?evacuate=n3", None)
        assert answer.status_code == 200, answer.text
        (one,) = answer.json()["preflight"]
        return one

    def evacuate(self) -> Any:
        return self.web("POST", f"/v2.1/servers/{self.uuid}/action", "2.79", json={"evacuate": {}})


@pytest.fixture
def cloud(db: Database, tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(db, tmp_path)
    yield made
    made.web.services.db.close()


def test_preflight_says_which_disks_are_kept_and_where_the_instance_could_go(cloud: Cloud) -> None:
    found = cloud.preflight()
    assert found["disks"] == [{**fate, "proof_age_s": 0.0 if fate["kept"] else None} for fate in FATES]
    assert (found["refusal"], found["loses_data"]) == (None, True)
    assert {host["host"]: host["status"] for host in found["hosts"]} == {
        "n1": "unknown",
        "n2": "failed",
        "n3": "failed",
    }
    (reason,) = [
        c["message"] for h in found["hosts"] if h["host"] == "n2" for c in h["checks"] if c["code"] == "storage"
    ]
    assert "shared, where the instance's disks are" in reason
    with cloud.db.read() as connection:
        assert connection.execute(select(operations)).all() == []


def test_the_answer_the_timeline_and_the_record_say_it(cloud: Cloud) -> None:
    answer = cloud.evacuate()
    assert (answer.status_code, answer.headers["X-Migrator-Disks"]) == (200, WORDS)
    (row,) = cloud.web("GET", f"/v1/operations?instance={cloud.uuid}", None).json()["operations"]
    assert (row["disks"], row["set_aside"]) == (FATES, None)
    events = cloud.web("GET", f"/v1/operations/{row['id']}/timeline", None).json()["events"]
    assert [event["message"] for event in events if event["name"] == "disks"] == [WORDS]


def test_without_evacuate_rebuilds_nothing_is_made_anew(db: Database, tmp_path: Path) -> None:
    cloud = Cloud(db, tmp_path, evacuate_rebuilds=False)
    refused = cloud.evacuate()
    assert refused.status_code == 409
    reason = "its disks vda (pool local), vdc (pool local) are on no storage that another host shares"
    assert reason in refused.json()["conflictingRequest"]["message"]
    assert reason in cloud.preflight()["refusal"]


def test_an_image_that_is_gone_is_said_before_anything_is_begun(cloud: Cloud) -> None:
    with cloud.db.write() as connection:
        connection.execute(delete(images))
    refused = cloud.evacuate()
    assert refused.status_code == 409
    assert f"the image {seed.IMAGE}" in refused.json()["conflictingRequest"]["message"]
    assert "not in the catalogue any more" in cloud.preflight()["refusal"]


@pytest.mark.parametrize(("age_s", "shown"), [(850.0, 850.0), (950.0, 950.0), (None, None)])
def test_preflight_shows_how_old_the_proof_of_a_shared_pool_is_and_refuses_as_the_evacuation(
    cloud: Cloud, age_s: float | None, shown: float | None
) -> None:
    proofs = {} if age_s is None else {"shared": {"token": "n3/1", "at": 5000.0 - age_s}}
    with cloud.db.write() as connection:
        connection.execute(update(hosts).where(hosts.c.name == "n3").values(last_seen=5000.0, proofs=proofs))
    found = cloud.preflight()
    assert {fate["target"]: fate["proof_age_s"] for fate in found["disks"] if fate["kept"]} == {"vdb": shown}
    answer = cloud.evacuate()
    if age_s == 850.0:
        assert (found["refusal"], answer.status_code) == (None, 200)
        return
    assert answer.status_code == 409
    message = "950 s before it fell silent" if age_s else "its last proof there never"
    assert message in found["refusal"]
    assert message in answer.json()["conflictingRequest"]["message"]


def test_preflight_wants_one_question(cloud: Cloud) -> None:
    assert cloud.web("GET", "/v1/preflight?evacuate=n3&from=n3", None).status_code == 400
    assert cloud.web("GET", "/v1/preflight?evacuate=nowhere", None).status_code == 404
