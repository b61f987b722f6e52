"""/v1/operations: what holds an instance, what was accepted as evidence, what is owed, and how far a transfer is."""

from typing import Any

import pytest

from tests.api import seed
from tests.api.conftest import Web


def shown(web: Web, key: int) -> Any:
    answer = web("GET", f"/v1/operations/{key}", None)
    assert answer.status_code == 200
    return answer.json()["operation"]


def test_a_copy_under_way(web: Web) -> None:
    uuid = seed.instance(web.db, "a", task_state="resize_migrating")
    key = seed.migration(web.db, uuid, "migrating", kind="resize", phase="copy")
    assert shown(web, key)["progress"] is None
    seed.job(web.db, key, "compute2", {"active": True, "disk_total_bytes": 8, "disk_processed_bytes": 2})
    found = shown(web, key)
    assert (found["progress"]["disk_total_bytes"], found["progress"]["disk_processed_bytes"]) == (8, 2)
    assert (found["holds"], found["owed"], found["evidence"]) == (True, [], None)


@pytest.mark.parametrize(
    ("more", "owed"),
    [
        ({"kind": "evacuation", "phase": "cleanup", "holds": False}, [{"phase": "cleanup", "host": "compute1"}]),
        ({"kind": "migration", "phase": "cleanup", "holds": False}, [{"phase": "cleanup", "host": "compute1"}]),
        (
            {"kind": "migration", "phase": "copy", "forward": False, "holds": False, "context": {"owed": ["copy"]}},
            [{"phase": "copy", "host": "compute2"}],
        ),
        ({"kind": "migration", "phase": "copy", "forward": True}, []),
    ],
)
def test_what_is_owed_and_by_whom(web: Web, more: dict[str, Any], owed: list[dict[str, str]]) -> None:
    key = seed.migration(web.db, seed.instance(web.db, "a"), "done", **more)
    assert shown(web, key)["owed"] == owed
    (listed,) = web("GET", "/v1/operations?active=true", None).json()["operations"]
    assert (listed["owed"], listed["holds"]) == (owed, more.get("holds", True))


def test_evidence_is_shown(web: Web) -> None:
    words = "compute1 was forced down by admin"
    uuid = seed.instance(web.db, "a")
    key = seed.migration(web.db, uuid, "done", kind="evacuation", phase="cleanup", context={"evidence": words})
    assert shown(web, key)["evidence"] == words
    over = seed.migration(web.db, uuid, "completed", kind="evacuation", phase="release", holds=False)
    assert shown(web, over)["owed"] == [], "nothing, once it is over"
