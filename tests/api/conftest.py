"""The whole HTTP application in one process, over both databases: with two hosts, and with what a server is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.db.engine import Database
from tests.api import seed
from tests.api.harness import Api, Web
from tests.api.surveyed_cluster import Cluster


@pytest.fixture
def web(db: Database, tmp_path: Path) -> Iterator[Web]:
    """Two hosts, and nothing else."""
    seed.host(db, "compute1")
    seed.host(db, "compute2")
    made = Web(db, tmp_path)
    yield made
    made.services.db.close()


@pytest.fixture
def api(web: Web) -> Api:
    """The Compute API over two hosts, one flavor, one image."""
    seed.flavor(web.db)
    seed.image(web.db, seed.IMAGE)
    return Api(web)


@pytest.fixture
def flavors(api: Api) -> Api:
    """Beside "1" (1 GiB): a larger one, one without its own disk size, one with an ephemeral disk, one elsewhere."""
    others: dict[str, dict[str, Any]] = {
        "2": {"disk_gb": 2, "memory_mb": 128, "vcpus": 2},
        "zero": {"disk_gb": 0},
        "scratch": {"disk_gb": 2, "ephemeral_gb": 1},
        "elsewhere": {"disk_gb": 2, "extra_specs": {"migrator:storage": "shared"}},
    }
    for key, more in others.items():
        seed.flavor(api.db, flavorid=key, name=f"m1.{key}", **more)
    return api


@pytest.fixture
def lost(api: Api) -> tuple[Api, str]:
    """compute3 was forced down with an instance on it, and shares no storage; (api, instance)."""
    seed.host(api.db, "compute3", last_seen=1.0, forced_down=True)
    for number in "123":
        seed.pools(api.db, f"compute{number}", local=f"id-{number}")
    return api, seed.instance(api.db, "a", host="compute3")


@pytest.fixture
def cluster(web: Web) -> Cluster:
    return Cluster(web)
