"""Whatever fits the OpenAPI document, and what does not quite, is answered: never with a 5xx.

Half of the requests name things that exist, so that handlers are reached and not only their 404.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from migrator.api import urls
from migrator.db import credentials
from migrator.db.engine import Database
from tests.api import seed
from tests.api.harness import Web

EXAMPLES = 12  # a request each, per operation and mode
IMAGE = "686a7f00-1f05-4966-968d-a684866b5da7"
INSTANCE = "0d5b6c1e-7f5a-4c53-8a55-0f8b6b1d2a11"
HOST = "compute1"
# The document's name of a path parameter -> what a request may put there that exists.
KNOWN = {"id": INSTANCE, "name": HOST, "host": HOST, "uuid": INSTANCE, "image_id": IMAGE, "flavor_id": "1"}
ODD = ("9" * 30, "-1", "0", "\u00e9", "a" * 300, "1e400", "00000000-0000-0000-0000-000000000000")
PLACES = st.one_of(st.none(), st.just(""), st.just(""), st.sampled_from(ODD))


@pytest.fixture
def token(db: Database) -> str:
    """Of ``compute1``'s agent. The cluster holds a flavor, an image, an instance and a finished migration."""
    seed.flavor(db)
    seed.image(db, IMAGE)
    seed.instance(db, "vm", uuid=INSTANCE)
    seed.migration(db, INSTANCE)
    return credentials.issue(db, HOST)


def _operations(web: Web) -> Iterator[Any]:
    schema = schemathesis.openapi.from_asgi("/openapi.json", web.client.app)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    yield from sorted(operations, key=lambda operation: operation.method.lower() == "delete")  # while all exists


def _known(path: str, name: str) -> str:
    if name == "id" and "flavors" in path:
        return "1"
    if name == "id" and "/images" in path:
        return IMAGE
    if name == "migration_id" or (name == "id" and "operations" in path):
        return "1"
    return KNOWN.get(name, "1")


def _examples(operation: Any) -> st.SearchStrategy[Any]:
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    return st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))


def _send(token: str, case: Any, place: str | None) -> Any:
    """``place``: None leaves the drawn path parameters, "" puts what exists, else that very text."""
    names = list(case.path_parameters or {})
    if place is not None:
        case.path_parameters = {name: place or _known(case.path, name) for name in names}
    if case.path.startswith("/agent/v1/hosts/"):
        case.path_parameters = {"name": HOST}
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_s"), (int, float)):
        case.body["wait_s"] = 0  # a long-poll would be right to wait
    headers = {"Authorization": f"Bearer {token}"} if case.path.startswith("/agent/") else {}
    return case.call(headers=headers)


def _asked(token: str, operation: Any) -> tuple[int, str | None]:
    """How many requests were sent, and the first that was answered with a server error."""
    count, failed = 0, None

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_examples(operation), place=PLACES)
    def ask(case: Any, place: str | None) -> None:
        nonlocal count, failed
        count += 1
        try:
            status = _send(token, case, place).status_code
            message = str(status)
        except Exception as error:  # the test client raises what a server answers with 500
            status, message = 500, repr(error)
        if status >= 500 and failed is None:
            failed = f"{message} for {case.as_curl_command()}"

    ask()
    return count, failed


@pytest.mark.timeout(900)
def test_no_request_is_answered_with_a_server_error(web: Web, token: str) -> None:
    found = [(operation.label, *_asked(token, operation)) for operation in _operations(web)]
    failed = [f"{label}: {message[:600]}" for label, _, message in found if message is not None]
    assert sum(count for _, count, _ in found) > 200
    assert not failed, "\n".join(failed)


def test_each_body_has_a_name_of_its_own() -> None:
    """pydantic tells two models of one name apart by their modules, and no route finds either by its name then."""
    assert not [name for name in urls.document()["components"]["schemas"] if "__" in name]
