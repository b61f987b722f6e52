"""A caller as the rest of the server knows it: who it is, and whether any project is closed to it."""

from dataclasses import replace

from migrator.api.identity.authenticator import Identity
from migrator.api.identity.policy import Policy
from migrator.scheduler.requests.requests import Caller


def caller_of(identity: Identity, request_id: str, rules: Policy) -> Caller:
    known = Caller(
        identity.user_id,
        identity.project_id,
        request_id,
        is_admin=False,
        roles=identity.roles,
        domain_id=identity.domain_id,
        system_scope=identity.system_scope,
    )
    return replace(known, is_admin=rules.allows("context_is_admin", known))
