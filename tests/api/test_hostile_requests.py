"""No request, whatever is in it, is answered with 500: a bounded part of what ``hostile_run`` does."""

import asyncio
from pathlib import Path
from urllib.parse import quote

from migrator.api import urls
from migrator.db.engine import Database
from tests.api.hostile_parts import EXPRESSIONS, HEADERS, IMAGE_QUERY, UPLOADS
from tests.api.hostile_requests import Generator, known_ids
from tests.api.hostile_run import Outcome, run

COUNT = 2000


def test_no_hostile_value_in_any_field_of_any_route_ends_in_a_500(db: Database, tmp_path: Path) -> None:
    outcome = Outcome()
    asyncio.run(run(db.url, tmp_path, COUNT, 1, outcome))
    assert outcome.failed == []
    assert outcome.costly == []
    assert sum(outcome.statuses.values()) == COUNT
    reached = {status for status, number in outcome.statuses.items() if number > 5}
    assert {200, 202, 204, 400, 404, 409} <= reached, "the requests no longer reach the handlers"


def test_the_bounded_part_has_each_header_upload_parameter_of_images_and_costly_expression() -> None:
    ids = known_ids("server", "volume", 1, ["queued"])
    sent = list(Generator(urls.document(), ids, "token", 1).requests(COUNT))
    assert len(sent) == COUNT
    assert {name.lower().encode() for name in HEADERS} <= {name for request in sent for name, _ in request.headers}
    uploads = [request for request in sent if request.method == "PUT" and b"/images/queued/file" in request.target]
    assert set(UPLOADS) <= {request.content for request in uploads}
    assert {dict(request.headers)[b"content-type"] for request in uploads} >= {b"application/octet-stream"}
    listed = [request.target for request in sent if request.target.startswith(b"/image/v2/images?")]
    assert all(any(f"{name}=".encode() in target for target in listed) for name in IMAGE_QUERY)
    for text in EXPRESSIONS:
        assert any(request.target.endswith(f"?name={quote(text, safe='')}".encode()) for request in sent)
