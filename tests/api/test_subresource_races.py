"""Two requests at once that change a server's metadata or its tags: what either asked for is there afterwards."""

from typing import Any

import pytest

from migrator.api.v2_1.servers import servers
from tests.api import seed
from tests.api.harness import Api

BOTH = {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("method", "rest", "body", "left"),
    [
        ("POST", "metadata", {"metadata": {"new": "n"}}, {*BOTH, "new", "late"}),
        ("PUT", "metadata/new", {"meta": {"new": "n"}}, {*BOTH, "new", "late"}),
        ("DELETE", "metadata/a", None, {"b", "late"}),
        ("PUT", "tags/new", None, {*BOTH, "new", "late"}),
        ("DELETE", "tags/a", None, {"b", "late"}),
    ],
)
def test_an_item_is_not_lost_that_another_request_adds_meanwhile(
    api: Api, monkeypatch: pytest.MonkeyPatch, method: str, rest: str, body: Any, left: set[str]
) -> None:
    uuid = seed.instance(api.db, "one", metadata=BOTH, tags=list(BOTH))
    kind = rest.split("/", maxsplit=1)[0]

    def find(*given: Any) -> Any:
        row = servers.find(*given)
        monkeypatch.undo()
        late = {"meta": {"late": "l"}} if kind == "metadata" else None
        assert api("PUT", f"/servers/{uuid}/{kind}/late", body=late).status in (200, 201)
        return row

    monkeypatch.setattr("migrator.api.v2_1.servers.subresources.find", find)
    assert api(method, f"/servers/{uuid}/{rest}", body=body).status in (200, 201, 204)
    assert set(api("GET", f"/servers/{uuid}/{kind}").json[kind]) == left
