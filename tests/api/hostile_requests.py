"""Requests with one hostile value each, for every field of every route: Compute API, native, images, agent protocol.

The fields are the application's own: the tables of routes and actions with their JSON schemas, and the OpenAPI document
for the rest. ``python -m tests.api.hostile_requests COUNT [DATABASE_URL]`` sends so many to an application in this
process and tells of each that was answered with 500, or cost much; a seed makes the same requests again.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from migrator.api.microversions import MAXIMUM
from migrator.api.routing import Surface, schema_at
from migrator.api.urls import ROUTES
from migrator.api.v2_1.actions.dispatch import ACTIONS
from tests.api import seed
from tests.api.hostile_parts import DOWNLOADED, EXPRESSIONS, HEADERS, IMAGE_QUERY, UPLOADED, UPLOADS
from tests.api.hostile_values import MARK, RAW, TEXTS, sample, spoilt

HOST = "compute1"
_JSON, _OCTETS = "application/json", "application/octet-stream"
_IMAGE = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("name", "owner", "id", "kernel_id", "os_command_line")},
        "visibility": {"enum": ["public", "private", "shared"]},
        "disk_format": {"enum": ["raw", "qcow2"]},
        "container_format": {"enum": ["bare"]},
        "protected": {"type": "boolean"},
        "os_hidden": {"type": "boolean"},
        "min_disk": {"type": "integer"},
        "min_ram": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
_FILE = "/image/v2/images/{image_id}/file"
_EXPRESSED = ("name", "ip", "ip6")  # filters of GET /servers that are regular expressions


@dataclass(frozen=True, slots=True)
class Target:
    """One route: what can be put into its path (``{name}``), its query and its body; None: it has none."""

    method: str
    path: str
    query: Sequence[str]
    body: Any
    version: tuple[int, int] | None = None
    octets: bool = False  # its body is bytes


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: bytes  # path and query, as they are sent
    headers: Sequence[tuple[bytes, bytes]]
    content: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target[:400]!r} {self.headers} {self.content[:600]!r}"


def targets(document: Mapping[str, Any]) -> Sequence[Target]:
    """Each route, at a microversion for each schema that it has."""
    found = [target for route in ROUTES if route.surface is Surface.COMPUTE for target in _compute(route)]
    for path, methods in document["paths"].items():
        if not path.startswith("/v2.1/"):
            found += [_documented(method.upper(), path, about) for method, about in methods.items()]
    return found


def _compute(route: Any) -> Iterator[Target]:
    path = route.path
    bodies = [rule.body for rule in ACTIONS.values()] if path.endswith("/servers/{id}/action") else [route.body]
    queries = route.query or ()
    for table in bodies:
        since = {route.since, route.until, *(v for v, _ in (table or ())), *(v for v, _ in queries)}
        for version in sorted(v for v in since if route.since <= v <= min(route.until, MAXIMUM)):
            names = tuple(schema_at(queries, version).get("properties", ())) if queries else ("limit", "marker")
            yield Target(route.method, path, names, schema_at(table, version) if table else None, version)


def _documented(method: str, path: str, about: Mapping[str, Any]) -> Target:
    query = [p["name"] for p in about.get("parameters", ()) if p["in"] == "query"]
    content = about.get("requestBody", {}).get("content", {})
    body = next((one["schema"] for one in content.values()), None)
    if path.endswith("/images"):
        body, query = (_IMAGE if method == "POST" else None), list(IMAGE_QUERY)
    octets = _OCTETS in content
    return Target(method, path, tuple(query), None if octets else body, octets=octets)


class Generator:
    """``ids``: what a parameter of a path may be, so that a route's handler is reached."""

    def __init__(self, document: Mapping[str, Any], ids: Mapping[str, Sequence[str]], token: str, seed_: int) -> None:
        self._targets = targets(document)
        self._definitions = document.get("components", {}).get("schemas", {})
        self._ids, self._token = ids, token
        self._rng = random.Random(seed_)

    def requests(self, count: int) -> Iterator[Request]:
        """So many: what must be tried each time comes first, in an order of its own."""
        certain = list(self._certain())
        self._rng.shuffle(certain)
        yield from certain[:count]
        for _ in range(count - len(certain)):
            yield self._request()

    def _certain(self) -> Iterator[Request]:
        """Each header, upload and parameter of images with each value of its own, and each costly expression."""
        compute = [target for target in self._targets if target.version == MAXIMUM]
        download, upload, images = (
            next(target for target in self._targets if (target.method, target.path) == which)
            for which in (("GET", _FILE), ("PUT", _FILE), ("GET", "/image/v2/images"))
        )
        for name, values in HEADERS.items():
            for value in values:
                target = download if name in DOWNLOADED else upload if name in UPLOADED else self._rng.choice(compute)
                yield self._sent(target, header=(name, value))
        for content in UPLOADS:
            yield self._sent(upload, content=content)
        for name, values in IMAGE_QUERY.items():
            for value in values:
                yield self._sent(images, query=[(name, value)])
        listed = next(one for one in compute if (one.method, one.path) == ("GET", "/v2.1/servers/detail"))
        for name, text in itertools.product(_EXPRESSED, EXPRESSIONS):
            yield self._sent(listed, query=[(name, text)])

    def _sent(
        self,
        target: Target,
        *,
        header: tuple[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        content: bytes | None = None,
    ) -> Request:
        body = sample(target.body, self._definitions, self._rng) if target.body is not None else None
        path = self._path(target, hostile=False) + _encoded(query)
        if content is None:
            content = b"x" * 600 if target.octets else self._content(body)
        return Request(target.method, path, self._headers(target, header), content)

    def _request(self) -> Request:
        rng = self._rng
        target = rng.choice(self._targets)
        kinds = ["path"] if "{" in target.path else []
        kinds += ["query"] if target.query else []
        kinds += ["body"] * 3 if target.body is not None or target.octets else []
        kind = rng.choice([*kinds, "header"])
        body = sample(target.body, self._definitions, rng) if target.body is not None else None
        if kind == "body" and not target.octets:
            body = spoilt(body, rng)
        content = rng.choice(UPLOADS) if target.octets else self._content(body)
        headers = self._headers(target, self._hostile_header() if kind == "header" else None)
        path = self._path(target, hostile=kind == "path")
        return Request(target.method, path + self._query(target, hostile=kind == "query"), headers, content)

    def _path(self, target: Target, *, hostile: bool) -> bytes:
        parts = target.path.split("/")
        places = [place for place, part in enumerate(parts) if part.startswith("{")]
        spoilt_place = self._rng.choice(places) if hostile else None
        for place in places:
            known = self._ids.get("queued" if target.octets else self._key(parts, place), ("x",))
            text = self._rng.choice(TEXTS if place == spoilt_place else known)
            parts[place] = quote(text[:8000], safe="") or "%20"
        return "/".join(parts).encode()

    @staticmethod
    def _key(parts: Sequence[str], place: int) -> str:
        """ "/servers/{id}" -> "servers"; a parameter with a name of its own goes by that."""
        name = parts[place][1:-1]
        return parts[place - 1] if name in ("id", "ident") else name

    def _query(self, target: Target, *, hostile: bool) -> bytes:
        pairs = [(name, "1") for name in target.query if self._rng.random() < 0.1]
        if hostile:
            name = self._rng.choice([*target.query, "nosuch"])
            times = self._rng.choice((1, 1, 1, 2, 300))
            text = self._rng.choice(TEXTS)
            pairs += [(name, text[: 60_000 // times])] * times
        return _encoded(pairs)

    def _hostile_header(self) -> tuple[str, str]:
        name = self._rng.choice(list(HEADERS))
        text = self._rng.choice(HEADERS[name] if self._rng.random() < 0.3 else TEXTS)
        return name, f"compute {text}" if name == "OpenStack-API-Version" and self._rng.random() < 0.7 else text

    def _headers(self, target: Target, hostile: tuple[str, str] | None) -> Sequence[tuple[bytes, bytes]]:
        found = {"host": "127.0.0.1:8774", "content-type": _OCTETS if target.octets else _JSON}
        if target.version is not None:
            found["openstack-api-version"] = "compute {}.{}".format(*target.version)
        if target.path.startswith("/agent"):
            found["authorization"] = f"Bearer {self._token}"
        if hostile is not None:
            found[hostile[0].lower()] = hostile[1][:8000].replace("\x00", "").replace("\n", " ")
        return [(name.encode(), text.encode()) for name, text in found.items()]

    def _content(self, body: Any) -> bytes:
        if body is None:
            return b""
        try:
            content = orjson.dumps(body)
        except TypeError:
            return b"{}"
        return content.replace(orjson.dumps(MARK), self._rng.choice(RAW), 1)


def _encoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    return b"?" * bool(pairs) + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs).encode()


def known_ids(server: str, volume: str, operation: int, queued: Sequence[str]) -> Mapping[str, Sequence[str]]:
    return {
        "servers": (server,),
        "flavors": ("1",),
        "images": (seed.IMAGE,),
        "image_id": (seed.IMAGE,),
        "queued": queued,
        "volumes": (volume,),
        "operations": (str(operation),),
        "migration_id": (str(operation),),
        "os-services": ("enable", "disable", "force-down", seed.IMAGE),
        "os-hypervisors": ("1", seed.IMAGE),
        "name": (HOST,),
        "key": ("k", "k0"),
        "tag": ("a",),
        "request_id": ("req-1",),
    }
