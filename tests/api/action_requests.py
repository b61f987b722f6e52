"""POST /servers/{id}/action, as tests of the actions ask it, and what it wrote."""

from typing import Any

from sqlalchemy import select

from migrator.db.tables import operations
from tests.api.harness import Api


def ask(api: Api, uuid: str, body: Any, version: str = "2.96") -> Any:
    return api("POST", f"/servers/{uuid}/action", version, body)


def only_operation(api: Api) -> Any:
    with api.db.read() as connection:
        return connection.execute(select(operations)).one()


def nothing_begun(api: Api) -> bool:
    with api.db.read() as connection:
        return connection.execute(select(operations)).first() is None


def evacuate(api: Api, uuid: str, value: Any, version: str) -> Any:
    return api("POST", f"/servers/{uuid}/action", version, {"evacuate": value})
