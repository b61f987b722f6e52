"""The whole HTTP application in one process, over both databases: with two hosts, and with what a server is made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.db.engine import Database
from tests.api import seed
from tests.api.harness import Api, Web


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
