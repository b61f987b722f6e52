"""What a row of the table of URLs is made of, and what its handler gets and gives.

Owns the words that ``urls.py`` is written in; ``endpoint.py`` serves them. A handler raises children of
``MigratorError`` and knows nothing of faults, threads or other surfaces:

- a plain function runs in the thread pool, with ``query`` and ``body`` read and checked as its row says: it may block
  on the database, but not on the network;
- a coroutine function runs on the event loop, with ``query`` read and checked, and reads the body itself, out of
  ``http``: large ones, and agents'.

``query`` and ``body`` of a row are Nova's JSON schemas by microversion ((from, schema), ...), ascending, or a model.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from migrator.api import microversions
from migrator.api.json_body import MAX_BODY_BYTES
from migrator.api.json_schema import Schema as Schema
from migrator.api.links import root_of
from migrator.api.microversions import Version
from migrator.api.process.admission import Kind
from migrator.api.process.services import Services
from migrator.api.surface import Surface as Surface
from migrator.errors import Forbidden
from migrator.scheduler.requests.requests import Caller

Versioned = tuple[tuple[Version, Schema], ...]
URL_PROJECT = "project_id"  # the parameter of a path that has the caller's project in it
ANYTHING: Versioned = (((2, 1), {}),)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call. ``rule``: what only an administrator passes, by its name; ``kind``: which of its host's requests
    an agent's is."""

    name: str
    rule: str = ""
    kind: Kind | None = None


ANYBODY = Access("anybody")  # no caller is asked for a token
CALLER = Access("caller")  # whom the authentication strategy knows


def admin(rule: str) -> Access:
    return Access("administrator", rule=rule)


def agent(kind: Kind) -> Access:
    """The agent of the host that the path names, if it names one."""
    return Access("agent", kind=kind)


@dataclass(frozen=True, slots=True)
class Answer:
    """``until``: the answer is held back until that is true (it may raise what is answered instead), but no longer than
    ``patience_s``. It is asked again and again in the thread pool, and waits outside of it."""

    status: int = 200
    body: Any = None  # None: no body at all
    headers: Mapping[str, str] = field(default_factory=dict)
    until: Callable[[], bool] | None = None
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiRequest:
    version: Version
    params: Mapping[str, str]  # from the path
    query: Any  # as the row says: name -> values, or its model
    body: Any
    caller: Caller  # an open route, or one for agents, has no caller
    services: Services
    http: Request

    @property
    def root(self) -> str:
        """ "http://host:port", as the client sees it."""
        return root_of(self.http, self.services)

    @property
    def base(self) -> str:
        """What links to this server's own URLs begin with: the caller's project is in them if it was in the request."""
        return f"{self.root}/v2.1{self._project}"

    @property
    def bookmarks(self) -> str:
        """What Nova's links without a version begin with."""
        return f"{self.root}{self._project}"

    @property
    def _project(self) -> str:
        project = self.http.path_params.get(URL_PROJECT)
        return f"/{quote(project)}" if project else ""

    @property
    def host(self) -> str:
        """Whose agent calls."""
        return str(self.http.state.agent_host)

    def allows(self, rule: str, row: Any = None) -> bool:
        """Whether the policy lets the caller do that, to an instance if ``row`` is one's."""
        target = {"project_id": row.project_id, "user_id": row.user_id} if row is not None else None
        return self.services.rules.value.allows(rule, self.caller, target)

    def require(self, rule: str, row: Any = None) -> None:
        """Raises Forbidden, in Nova's words."""
        if not self.allows(rule, row):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")


Given = Answer | Response
Handler = Callable[[ApiRequest], Given] | Callable[[ApiRequest], Awaitable[Given]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    since: Version = microversions.MINIMUM  # of the Compute API alone
    until: Version = microversions.MAXIMUM
    query: Versioned | type[BaseModel] | None = None
    body: Versioned | type[BaseModel] | None = None
    path_model: type[BaseModel] | None = None
    largest: int = MAX_BODY_BYTES
    octets: bool = False  # its body is bytes, not JSON, as many as image_size_cap allows
    surface: Surface = Surface.DISCOVERY
    documented: bool = True  # False: another name of what is documented already
    held_by_lock: bool = False  # of a server that is locked, refused to who is no administrator
    costly: Callable[[QueryParams], bool] | None = None  # which of its requests wait for a turn of their project

    @property
    def on_the_loop(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)


def below(prefix: str, surface: Surface, routes: Sequence[Route], *, documented: bool = True) -> tuple[Route, ...]:
    """The same rows, at their place."""
    return tuple(
        replace(one, path=prefix + one.path, surface=surface, documented=documented and one.documented)
        for one in routes
    )


def schema_at(table: Versioned, version: Version) -> Schema:
    found: Schema = table[0][1]
    for since, schema in table:
        if since <= version:
            found = schema
    return found
