"""``/agent/v1``: how agents register, long-poll for their assignments, put facts back and fetch images.

Every request carries the credential of one host's agent and reaches only that host's things.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import FileResponse

from migrator.api.agent_v1 import messages
from migrator.api.agent_v1.admission import Kind
from migrator.api.agent_v1.long_poll import Looker
from migrator.api.dependencies import Service, Services
from migrator.api.gate.request_gate import token_of
from migrator.db import images as image_rows
from migrator.errors import ImageNotFound
from migrator.protocol import Facts, HostReport, Incarnation, MachineId, Message, Poll, Questions, Survey
from migrator.scheduler import agents
from migrator.scheduler.hosts import machines
from migrator.scheduler.state import entitlements, surveys

router = APIRouter(prefix="/agent/v1", tags=["agent"])

# A poll that is held until its end is the last word of its host meanwhile: of so many, one may be late.
_POLLS_BEFORE_DOWN = 3


class Registration(Message):
    incarnation: Incarnation
    machine: MachineId = ""
    report: HostReport


async def token_of_head(authorization: Annotated[str, Header()] = "") -> str:
    return token_of(authorization)


async def host_of_token(request: Request) -> str:
    """The gate checked the credential, and that the path is this host's, before anything of the body was read."""
    return str(request.state.agent_host)


Token = Annotated[str, Depends(token_of_head)]


Host = Annotated[str, Depends(host_of_token)]


async def content_of(request: Request) -> bytes:
    return await request.body()


Content = Annotated[bytes, Depends(content_of)]  # read as a message where it is worked on, in a thread
MESSAGES = (Registration, Poll, Facts, Survey)


@router.put("/hosts/{name}", status_code=204, openapi_extra=messages.documented(Registration))
async def register(host: Host, token: Token, services: Service, content: Content) -> None:
    """Describe the host; at each start of its agent and whenever the description changes."""
    await services.admission.run(host, Kind.REGISTRATION, partial(_register, services, host, token, content))


def _register(services: Services, host: str, token: str, content: bytes) -> None:
    body = messages.read(Registration, content)
    told = (host, body.incarnation, body.report, body.machine, services.settings.service_down_time)
    agents.register(services.db, *told, token=token, approve_new=services.settings.approve_new_hosts)


@router.post("/hosts/{name}/poll", openapi_extra=messages.documented(Poll))
async def poll(request: Request, host: Host, services: Service, content: Content) -> Response:
    """The full set of the host's assignments: at once when it differs from what the agent has seen, else when it
    changes, else after ``wait_s``, or sooner, before the host would count as down. Each poll is also the agent's
    heartbeat, and ends the one that it made before."""
    loop = asyncio.get_running_loop()
    with services.wakers.listening(host) as listener:
        taken = await services.polls.take(host, content)
        body = taken.poll
        deadline = loop.time() + min(body.wait_s, services.settings.service_down_time / _POLLS_BEFORE_DOWN)
        looker = Looker(services, host, listener.event)
        found = await looker.first(taken)
        request.state.body_room.close()  # its work is done: what is left is to wait
        while found.digest == body.seen and loop.time() < deadline and not (services.wakers.closing or listener.ended):
            found = await looker.next(deadline)
    answer = found.model_copy(update={"answers": body.number})
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post("/hosts/{name}/facts", status_code=204, openapi_extra=messages.documented(Facts))
async def put_facts(host: Host, services: Service, content: Content) -> None:
    await services.admission.run(host, Kind.FACTS, partial(_accept, services, host, content))


def _accept(services: Services, host: str, content: bytes) -> None:
    """Each fact is taken by itself: one that this server cannot read becomes a problem of its operation."""
    body = messages.read(Facts, content)
    told = agents.accept_facts(services.db, host, body, services.settings.service_down_time)
    services.reconciler.reconcile_each(told)


@router.get("/hosts/{name}/questions", response_model=Questions)
async def questions(host: Host, services: Service) -> Response:
    """What the agent should look at while nothing is moved."""
    ask = partial(surveys.questions, services.db, host, services.settings)
    found = await services.admission.run(host, Kind.QUESTIONS, lambda: ask().model_dump_json())
    return Response(found, media_type="application/json")


@router.put("/hosts/{name}/survey", status_code=204, openapi_extra=messages.documented(Survey))
async def put_survey(host: Host, services: Service, content: Content) -> None:
    """What it found; in place of what it told last."""
    await services.admission.run(host, Kind.SURVEY, partial(_survey, services, host, content))


def _survey(services: Services, host: str, content: bytes) -> None:
    body = messages.read(Survey, content)
    machines.check(services.db, host, body.machine, services.settings.service_down_time)
    surveys.accept(services.db, host, body)


@router.get("/images/{image_id}/file")
async def image_file(image_id: str, services: Service, host: Host) -> FileResponse:
    """Of an image that the host's assignments name. Errors: 403 for any other; 404."""
    path = await services.admission.run(host, Kind.IMAGE, partial(_image_path, services, host, image_id))
    return FileResponse(path, media_type="application/octet-stream")


def _image_path(services: Services, host: str, image_id: str) -> Path:
    with services.db.read() as connection:
        image = entitlements.image(connection, host, image_id)
    path: Path = services.settings.image_dir / image.id
    if image.status not in ("active", image_rows.DELETED) or not path.is_file():
        raise ImageNotFound(f"Image {image_id} has no data.")
    return path
