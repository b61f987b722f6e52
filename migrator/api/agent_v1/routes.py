"""``/agent/v1``: how agents register, long-poll for their assignments, put facts back and fetch images.

Every request carries the credential of one host's agent and reaches only that host's things.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path

from starlette.responses import FileResponse, Response

from migrator.api.agent_v1.long_poll import AssignmentPoller
from migrator.api.process import agent_messages
from migrator.api.process.admission import Kind
from migrator.api.process.credential_lookup import token_of
from migrator.api.process.registration_groups import Sent
from migrator.api.process.services import Services
from migrator.api.routing import Answer, ApiRequest
from migrator.db import images as image_rows
from migrator.errors import ImageNotFound
from migrator.protocol import PROTOCOL, Consoles, Facts, Joined, Survey, versions
from migrator.scheduler import agents
from migrator.scheduler.hosts import joining, machines, protocol_skew
from migrator.scheduler.state import consoles, entitlements, surveys

log = logging.getLogger("migrator.agents")

# A poll that is held until its end is its host's last word for that time: of so many, one may be late.
_POLLS_BEFORE_DOWN = 3


async def register(request: ApiRequest) -> Answer:
    """Describe the host; at each start of its agent and whenever the description changes."""
    token, content = token_of(request.http.headers.get("authorization", "")), await request.http.body()
    await request.services.registrations.take(request.host, Sent(token, content))
    return Answer(204)


async def join(request: ApiRequest) -> Response:
    """Take a join token, once: the answer has the host's name and its agent's credential."""
    services, token = request.services, token_of(request.http.headers.get("authorization", ""))
    host, credential = await services.admission.run(request.host, Kind.JOIN, partial(joining.join, services.db, token))
    services.credentials.forget()
    log.info("host %s has joined: its agent was given a credential", host)
    answer = Joined(host=host, token=credential)
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def _admit(services: Services, host: str, said: int, machine: str) -> None:
    protocol_skew.admit(services.db, host, said, machine, services.settings.service_down_time)


async def poll(request: ApiRequest) -> Response:
    """The full set of the host's assignments: at once when it differs from what the agent has seen, else when it
    changes, else after ``wait_s``, or sooner, before the host would count as down. Each poll is also the agent's
    heartbeat, and ends the one that it made before."""
    services, host, content = request.services, request.host, await request.http.body()
    loop = asyncio.get_running_loop()
    with services.notifier.listening(host) as listener:
        taken = await services.polls.take(host, content)
        body = taken.poll
        if body.protocol < versions.OLDEST_AGENT:
            refuse = partial(_admit, services, host, body.protocol, body.machine)
            await services.admission.run(host, Kind.POLL, refuse)
        deadline = loop.time() + min(body.wait_s, services.settings.service_down_time / _POLLS_BEFORE_DOWN)
        looker = AssignmentPoller(services, host, listener.event)
        found = await looker.first(taken)
        request.http.state.body_room.close()  # its work is done: what is left is to wait
        while (
            found.digest == body.seen and loop.time() < deadline and not (services.notifier.closing or listener.ended)
        ):
            found = await looker.next(deadline)
    more = {
        "answers": body.number,
        "protocol": PROTOCOL,
        "survey_within_s": surveys.first_within_s(services.notifier.held),
    }
    answer = found.model_copy(update=more)
    return Response(answer.model_dump_json(), media_type="application/json")


async def put_facts(request: ApiRequest) -> Answer:
    services, host, content = request.services, request.host, await request.http.body()
    await services.admission.run(host, Kind.FACTS, partial(_accept, services, host, content))
    return Answer(204)


def _accept(services: Services, host: str, content: bytes) -> None:
    """Each fact is taken alone: one that this server cannot read becomes a problem of its operation."""
    body = agent_messages.read(Facts, content)
    told = agents.accept_facts(services.db, host, body, services.settings.service_down_time)
    services.reconciler.reconcile_each(told)


async def questions(request: ApiRequest) -> Response:
    """What the agent should look at while nothing is moved."""
    services, host = request.services, request.host
    found = await services.admission.run(host, Kind.QUESTIONS, lambda: services.questions.of(host).model_dump_json())
    return Response(found, media_type="application/json")


async def put_survey(request: ApiRequest) -> Answer:
    """What it found; in place of what it told last."""
    services, host, content = request.services, request.host, await request.http.body()
    await services.admission.run(host, Kind.SURVEY, partial(_survey, services, host, content))
    return Answer(204)


def _survey(services: Services, host: str, content: bytes) -> None:
    body = agent_messages.read(Survey, content)
    machines.check(services.db, host, body.machine, services.settings.service_down_time)
    surveys.accept(services.db, host, body)


async def put_consoles(request: ApiRequest) -> Answer:
    """What guests wrote to their consoles since it told last."""
    services, host, content = request.services, request.host, await request.http.body()
    await services.admission.run(host, Kind.CONSOLES, partial(_consoles, services, host, content))
    return Answer(204)


def _consoles(services: Services, host: str, content: bytes) -> None:
    body = agent_messages.read(Consoles, content)
    machines.check(services.db, host, body.machine, services.settings.service_down_time)
    consoles.accept(services.db, host, body)


async def image_file(request: ApiRequest) -> FileResponse:
    """Of an image that the host's assignments name. Errors: 403 for any other; 404."""
    services, host, image_id = request.services, request.host, request.params["image_id"]
    path = await services.admission.run(host, Kind.IMAGE, partial(_image_path, services, host, image_id))
    return FileResponse(path, media_type="application/octet-stream")


def _image_path(services: Services, host: str, image_id: str) -> Path:
    with services.db.read() as connection:
        image = entitlements.image(connection, host, image_id)
    path: Path = services.settings.image_dir / image.id
    if image.status not in ("active", image_rows.DELETED) or not path.is_file():
        raise ImageNotFound(f"Image {image_id} has no data.")
    return path
