"""The whole HTTP application in one process, as ``create_app`` builds it, over both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from migrator.api import dependencies
from migrator.db.engine import Database
from migrator.server.app import create_app
from migrator.settings import ServerSettings
from tests.api import seed


class Web:
    """``web("GET", "/v2.1/flavors", "2.55")``: any path, any microversion; the answer as httpx has it."""

    def __init__(self, db: Database, directory: Path, **more: Any) -> None:
        self.db = db
        self.image_dir = directory / "images"
        more.setdefault("allowed_hosts", ("testserver",))
        settings = ServerSettings(database=db.url, image_dir=self.image_dir, **more)
        self.services = dependencies.build(settings)
        self.client = TestClient(create_app(self.services), base_url="http://testserver")

    def __call__(self, method: str, path: str, version: str | None = "2.96", **more: Any) -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
        return self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)


@pytest.fixture
def web(db: Database, tmp_path: Path) -> Iterator[Web]:
    """Two hosts, and nothing else."""
    seed.host(db, "compute1")
    seed.host(db, "compute2")
    made = Web(db, tmp_path)
    yield made
    made.services.db.close()
