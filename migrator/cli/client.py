"""HTTP for the command line: one request at a time, and every failure as one sentence.

Owns the endpoint, the microversion and the looking up of names. Never prints.
"""

import os
import uuid
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx

from migrator.cli import credentials
from migrator.errors import BadRequest, Conflict, Forbidden, MigratorError, NotFound, ServerUnreachable, Unauthorized

DEFAULT_URL = "http://127.0.0.1:8774/v2.1"
_PAGE = 1000
_KINDS: Mapping[int, type[MigratorError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}


def endpoint(given: str | None) -> str:
    """The Compute API's address: what was given, or the environment's, or this machine's."""
    environment = os.environ.get("MIGRATOR_URL") or os.environ.get("OS_ENDPOINT")
    return (given or environment or DEFAULT_URL).rstrip("/")


class Client:
    """``compute`` paths start below /v2.1, ``native`` ones below /v1, ``image`` ones below /image/v2."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = url.removesuffix("/v2.1")
        self._http = httpx.Client(timeout=60, trust_env=False, verify=credentials.trusted(), auth=credentials.given())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def compute(self, method: str, path: str, body: Any = None, /, *, version: str = "latest", **query: Any) -> Any:
        return self._send(method, f"{self.root}/v2.1{path}", body, query, version)

    def native(self, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
        return self._send(method, f"{self.root}/v1{path}", body, query)

    def pages(self, path: str, rows_name: str, /, **query: Any) -> list[dict[str, Any]]:
        """All rows of a paged listing below /v1."""
        rows: list[dict[str, Any]] = []
        while True:
            found = self.native("GET", path, **query)
            rows += found[rows_name]
            if found.get("next") is None:
                return rows
            query["marker"] = found["next"]

    def image(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        return self._send(method, f"{self.root}/image/v2{path}", body, query)

    def upload(self, image_id: str, content: Any) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        self._checked("PUT", f"{self.root}/image/v2/images/{image_id}/file", content=content, headers=headers)

    def every(self, path: str, rows_name: str, /, **query: Any) -> list[dict[str, Any]]:
        """All rows of a paged listing of the Compute API: of all projects, if the caller may see those."""
        rows: list[dict[str, Any]] = []
        while True:
            try:
                page = self.compute("GET", path, limit=_PAGE, **query)[rows_name]
            except Forbidden:
                if query.pop("all_tenants", None) is None:
                    raise
                continue
            rows += page
            if len(page) < _PAGE:
                return rows
            query["marker"] = page[-1].get("uuid", page[-1]["id"])  # migrations page by their UUID

    def every_image(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            page = self.image("GET", "/images", None, **query)
            rows += page["images"]
            if "next" not in page or not page["images"]:
                return rows
            query["marker"] = page["images"][-1]["id"]

    def server(self, name_or_id: str) -> dict[str, Any]:
        return self._find("server", name_or_id, "/servers", "servers", all_tenants=1)

    def service(self, host: str) -> dict[str, Any]:
        """The compute service of a host. Raises NotFound."""
        found = self.compute("GET", "/os-services", host=host)["services"]
        if not found:
            raise NotFound(f"no host has the name {host}", advice="see `migrator service-list`")
        return dict(found[0])

    def flavor(self, name_or_id: str) -> dict[str, Any]:
        return pick("flavor", name_or_id, self.every("/flavors/detail", "flavors", is_public="None"))

    def image_named(self, name_or_id: str) -> dict[str, Any]:
        return pick("image", name_or_id, self.every_image())

    def _find(self, kind: str, key: str, path: str, rows_name: str, **query: Any) -> dict[str, Any]:
        if is_uuid(key):
            try:
                return dict(self.compute("GET", f"{path}/{quote(key, safe='')}")[kind])
            except NotFound:
                pass  # a name may look like an id
        return pick(kind, key, self.every(path, rows_name, **query))

    def _send(self, method: str, url: str, body: Any, query: Mapping[str, Any], version: str = "latest") -> Any:
        """``version``: the Compute API's microversion."""
        more: dict[str, Any] = {"params": {key: value for key, value in query.items() if value is not None}}
        more |= {"json": body} if body is not None else {}
        answer = self._checked(method, url, headers={"OpenStack-API-Version": f"compute {version}"}, **more)
        return answer.json() if answer.content else None

    def _checked(self, method: str, url: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, url, **request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise BadRequest(f"{self.url} is not the address of a server: {error}") from error
        except httpx.ConnectError as error:
            raise ServerUnreachable(
                f"no server answers at {self.url}",
                advice="start one with `migrator server`, or name another with --url or MIGRATOR_URL",
            ) from error
        except httpx.HTTPError as error:
            raise ServerUnreachable(f"{self.url} did not answer: {error or type(error).__name__}") from error
        if answer.is_error:
            raise _KINDS.get(answer.status_code, MigratorError)(_sentence(answer))
        return answer


def pick(kind: str, key: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By id, else by name. Raises NotFound, or Conflict when a name stands for several."""
    found = [row for row in rows if str(row["id"]) == key] or [row for row in rows if row.get("name") == key]
    if not found:
        raise NotFound(f"no {kind} has the name or id {key}")
    if len(found) > 1:
        ids = ", ".join(str(row["id"]) for row in found)
        raise Conflict(f"{len(found)} {kind}s have the name {key}", advice=f"take one of their ids: {ids}")
    return found[0]


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _sentence(answer: httpx.Response) -> str:
    """What the server said, whichever of its bodies it said it in."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and body:
        inner = next(iter(body.values()))
        if isinstance(inner, dict) and inner.get("message"):
            advice = f" ({inner['advice']})" if inner.get("advice") else ""
            return f"{inner['message']}{advice}"
        if isinstance(body.get("message"), str):
            return str(body["message"])
    return f"the server answered {answer.status_code} {answer.reason_phrase}"
