"""The agent's side of ``/agent/v1`` over HTTP. Owns URLs, the credential and the meaning of status codes.

Never retries and never waits on its own: ``agent.py`` decides when to try again.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from migrator.compute.agent import server_trust
from migrator.errors import (
    Forbidden,
    HostNotFound,
    ImageUnavailable,
    IncarnationSuperseded,
    MachineNotApproved,
    MigratorError,
    NameTaken,
    ProtocolUnsupported,
    ServerDistrusted,
    ServerUnreachable,
    Unauthorized,
)
from migrator.protocol import (
    Assignments,
    ConsolePiece,
    Consoles,
    Fact,
    Facts,
    HostReport,
    Poll,
    Questions,
    Survey,
    message_sizes,
    versions,
)

TIMEOUT_S = 15.0  # for an answer; a poll gets its ``wait_s`` on top
_ENVELOPE_BYTES = 200  # of a message, around its facts
_LONGEST_REST_S = 15.0  # that a server can ask for: a host must be heard
_ERRORS: Mapping[int, type[MigratorError]] = {401: Unauthorized, 403: Forbidden, 404: HostNotFound}
_CONFLICTS: Mapping[str, type[MigratorError]] = {
    kind.code: kind for kind in (NameTaken, MachineNotApproved, ProtocolUnsupported)
}


class ServerClient:
    """All methods raise ServerUnreachable (also for a 5xx), Unauthorized, Forbidden, HostNotFound, NameTaken,
    MachineNotApproved, ProtocolUnsupported."""

    def __init__(
        self,
        server_url: str,
        host: str,
        token: str,
        transport: httpx.AsyncBaseTransport | None = None,
        server_ca: Path | None = None,
    ) -> None:
        """``server_ca``: the only authority that is trusted. Raises SettingInvalid."""
        self.machine = ""  # told with everything that is told
        self.answered = asyncio.Event()  # the server has answered a poll of this agent
        self.survey_within_s = 0.0  # as it said then: when the first survey is due
        self._path = f"/agent/v1/hosts/{host}"
        self._http = httpx.AsyncClient(base_url=server_url, transport=transport, **_manners(token, server_ca))

    async def register(self, incarnation: int, report: HostReport) -> None:
        body = {"incarnation": incarnation, "machine": self.machine, "report": report.model_dump(mode="json")}
        await self._send("PUT", "", json=body)

    async def poll(self, poll: Poll) -> Assignments:
        """Blocks for up to ``poll.wait_s`` while nothing changes."""
        answer = await self._send(
            "POST",
            "/poll",
            content=poll.model_copy(update={"machine": self.machine}).model_dump_json(),
            timeout=poll.wait_s + TIMEOUT_S,
        )
        try:
            found = Assignments.model_validate_json(answer.content)
        except ValueError as error:
            raise ServerUnreachable(f"the server's answer makes no sense: {error}") from error
        if found.answers != poll.number:
            raise ServerUnreachable(f"the answer is to poll {found.answers}, not to {poll.number}")
        self.survey_within_s = found.survey_within_s
        self.answered.set()
        versions.check_server(found.protocol)
        return found

    async def put_facts(self, facts: tuple[Fact, ...]) -> None:
        """In as many messages as their size asks for."""
        for part in _in_parts(facts):
            await self._send("POST", "/facts", content=Facts(facts=part, machine=self.machine).model_dump_json())

    async def questions(self) -> Questions:
        answer = await self._send("GET", "/questions")
        try:
            return Questions.model_validate_json(answer.content)
        except ValueError as error:
            raise ServerUnreachable(f"the server's answer makes no sense: {error}") from error

    async def put_survey(self, survey: Survey) -> None:
        told = survey.model_copy(update={"machine": self.machine})
        await self._send("PUT", "/survey", content=told.model_dump_json(exclude_defaults=True))

    async def put_consoles(self, pieces: tuple[ConsolePiece, ...]) -> None:
        told = Consoles(machine=self.machine, pieces=pieces)
        await self._send("PUT", "/consoles", content=told.model_dump_json())

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = await self._http.request(
                method, self._path + path, headers={"Content-Type": "application/json"}, **request
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(f"{method} {self._path}{path}", error) from error
        if answer.is_success:
            return answer
        if answer.status_code == 409 and (heard := _known_incarnation(answer)) is not None:
            raise IncarnationSuperseded(f"the server has heard incarnation {heard}", details={"known": heard})
        message = f"{method} {self._path}{path}: {answer.status_code} {answer.text[:300]}"
        known = _known(answer)
        raise known(message) if known is not None else ServerUnreachable(message, retry_after_s=_retry_after_s(answer))


def _in_parts(facts: tuple[Fact, ...]) -> Iterator[tuple[Fact, ...]]:
    part: list[Fact] = []
    size = _ENVELOPE_BYTES
    for fact in facts:
        more = len(fact.model_dump_json().encode()) + 1
        if part and size + more > message_sizes.FACTS:
            yield tuple(part)
            part, size = [], _ENVELOPE_BYTES
        part.append(fact)
        size += more
    yield tuple(part)


def _known(answer: httpx.Response) -> type[MigratorError] | None:
    """What a refusal means: by its status, and where that has several meanings by its code."""
    if answer.status_code == 409:
        return next((kind for code, kind in _CONFLICTS.items() if f'"{code}"' in answer.text[:300]), None)
    return _ERRORS.get(answer.status_code)


def _retry_after_s(answer: httpx.Response) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(_LONGEST_REST_S, float(said)) if said.isascii() and said.isdigit() and len(said) < 5 else 0.0


def _said(answer: httpx.Response) -> str:
    """The server's words, where it said any."""
    try:
        return f": {str(answer.json()['error']['message'])[:300]}"
    except (ValueError, KeyError, TypeError):
        return ""


def _known_incarnation(answer: httpx.Response) -> int | None:
    """The one that the server has heard, if it refuses an older one."""
    try:
        error = answer.json()["error"]
        return int(error["details"]["known"]) if error["code"] == IncarnationSuperseded.code else None
    except (ValueError, KeyError, TypeError):
        return None


class ImageClient:
    """``image_cache.Fetch`` over HTTP, for the worker's threads."""

    def __init__(self, server_url: str, token: str, server_ca: Path | None = None) -> None:
        """Raises SettingInvalid."""
        self._http = httpx.Client(base_url=server_url, **_manners(token, server_ca))

    @contextmanager
    def fetch(self, image_id: str) -> Iterator[Iterator[bytes]]:
        try:
            with self._http.stream("GET", f"/agent/v1/images/{image_id}/file") as answer:
                if answer.status_code >= 500:
                    raise ServerUnreachable(f"image {image_id}: the server answered {answer.status_code}")
                if not answer.is_success:
                    answer.read()
                    raise ImageUnavailable(f"image {image_id}: the server answered {answer.status_code}{_said(answer)}")
                yield answer.iter_bytes()
        except httpx.HTTPError as error:
            raise _unreachable(f"image {image_id}", error) from error

    def close(self) -> None:
        self._http.close()


def _unreachable(what: str, error: Exception) -> ServerUnreachable:
    distrust = server_trust.distrust(error)
    if distrust is not None:
        return ServerDistrusted(f"{what}: {distrust}", retry_after_s=server_trust.MENDED_BY_HAND_S)
    return ServerUnreachable(f"{what}: {type(error).__name__} {error}")


def _manners(token: str, server_ca: Path | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    verify = server_trust.authorities(server_ca)
    return {"headers": headers, "timeout": TIMEOUT_S, "trust_env": False, "verify": verify}
