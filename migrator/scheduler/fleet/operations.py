"""How each way of a plan begins: by the request that clients use, with its checks, locks and queues. Nothing else here
begins an operation."""

from collections.abc import Callable, Mapping

from migrator.db.engine import Database
from migrator.scheduler.fleet.plan.model import Way
from migrator.scheduler.fleet.plan.step import MoveView
from migrator.scheduler.fleet.plan.vocabulary import DrainRequest
from migrator.scheduler.requests import cold_migration, evacuation, requests
from migrator.scheduler.requests.requests import Caller
from migrator.settings import ServerSettings

Begin = Callable[[Database, Caller, MoveView, DrainRequest, ServerSettings], int]


def _live(db: Database, caller: Caller, move: MoveView, _request: DrainRequest, _settings: ServerSettings) -> int:
    return requests.live_migrate(db, caller, move.uuid, host=move.destination, block=None)


def _cold(db: Database, caller: Caller, move: MoveView, _request: DrainRequest, _settings: ServerSettings) -> int:
    return cold_migration.migrate(db, caller, move.uuid, host=move.destination)


def _evacuate(db: Database, caller: Caller, move: MoveView, request: DrainRequest, settings: ServerSettings) -> int:
    asked = evacuation.EvacuationRequest(host=move.destination, may_lose=request.discard)
    return evacuation.evacuate(db, caller, move.uuid, settings, asked).operation_id


BEGIN: Mapping[Way, Begin] = {
    Way.LIVE: _live,
    Way.COLD: _cold,
    Way.EVACUATE: _evacuate,
    Way.STOP: lambda db, caller, move, _request, _settings: requests.stop(db, caller, move.uuid),
    Way.START: lambda db, caller, move, _request, _settings: requests.start(db, caller, move.uuid),
}
