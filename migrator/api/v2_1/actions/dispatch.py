"""POST /servers/{id}/action: exactly one action a body, by name, from one table.

Owns what every action has in common; what each of them is stands in the ``actions_*`` modules, and the rules of who
may begin what in which state are the scheduler's.
"""

from collections.abc import Mapping

from migrator import supported_requests
from migrator.api.access import refuse_locked
from migrator.api.identity.policy_rules import of_action
from migrator.api.json_schema import shortened
from migrator.api.request_input import check_body
from migrator.api.routing import Answer, ApiRequest
from migrator.api.v2_1.actions import cold, console, evacuate, live, power, state
from migrator.api.v2_1.actions.action import ServerAction
from migrator.api.v2_1.servers.servers import find
from migrator.errors import BadRequest

ACTIONS: Mapping[str, ServerAction] = {
    **power.ACTIONS,
    **live.ACTIONS,
    **cold.ACTIONS,
    **evacuate.ACTIONS,
    **console.ACTIONS,
    **state.ACTIONS,
}


def act(request: ApiRequest) -> Answer:
    body = request.body
    if not isinstance(body, Mapping) or len(body) != 1:
        raise BadRequest("Malformed request body")
    name, value = next(iter(body.items()))
    rule = ACTIONS.get(name)
    if rule is None:
        find(request, request.params["id"])  # an unknown server before an unknown action
        raise BadRequest(f"There is no such action: {shortened(name)}{supported_requests.refused_action(name)}")
    request.http.state.action = name
    check_body(rule.body, body, request.version)
    row = find(request, request.params["id"])
    request.require(of_action(name), row)
    if not rule.when_locked:
        refuse_locked(request, row)
    begun = rule.begin(request, row, value)
    if begun.operation_id is not None:
        request.services.reconciler.reconcile(begun.operation_id)
        if rule.afterwards is not None:
            until, patience_s = rule.afterwards(request, begun.operation_id)
            return Answer(rule.status, begun.body, begun.headers, until=until, patience_s=patience_s)
    return Answer(rule.status, begun.body, begun.headers)
