"""A host has a name that Nova's clients can send, and that its column holds."""

import pytest
from sqlalchemy import func, select

from migrator.db import credentials
from migrator.db.engine import Database
from migrator.db.tables import agent_credentials, hosts
from migrator.errors import BadRequest
from migrator.protocol import HostReport
from tests import registering

WRONG = ["", "a b", "n1\n", "n1/x", "h\u00f6st", "n\x00", "a" * 256]
RIGHT = ["n1", "compute-1.example_org", "N" * 255]
REPORT = HostReport(vcpus=1, memory_mb=1024, address="n1", live_migration_uri="qemu+tcp://n1/system")


@pytest.mark.parametrize("name", WRONG)
def test_a_name_outside_of_novas_pattern_gets_no_credential_and_does_not_register(db: Database, name: str) -> None:
    with pytest.raises(BadRequest, match="Host name"):
        credentials.issue(db, name)
    with pytest.raises(BadRequest, match="Host name"):
        registering.register(db, name, 1, REPORT)
    with db.read() as connection:
        rows = [
            connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (agent_credentials, hosts)
        ]
    assert rows == [0, 0]


@pytest.mark.parametrize("name", RIGHT)
def test_a_name_of_novas_pattern_gets_a_credential_and_registers(db: Database, name: str) -> None:
    token = credentials.issue(db, name)
    registering.register(db, name, 1, REPORT)
    with db.read() as connection:
        assert credentials.holders(connection)[credentials.digest(token)] == name
        assert connection.execute(select(hosts.c.name)).scalar_one() == name
