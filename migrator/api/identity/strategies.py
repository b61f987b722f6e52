"""``auth_strategy`` and ``policy_file``: from the settings to what authenticates and what decides."""

from migrator.api.identity import keystone_client, policy, users
from migrator.api.identity.authenticator import Authenticator, NoAuthentication
from migrator.api.identity.http_basic import HttpBasic
from migrator.api.identity.keystone import Keystone
from migrator.api.identity.policy import Policy
from migrator.reloaded import Reloaded
from migrator.settings import ServerSettings


def authenticator(settings: ServerSettings) -> Authenticator:
    """Raises SettingInvalid for what cannot be used, and LibraryMissing."""
    if settings.auth_strategy == "http_basic":
        files = settings.http_basic_auth_user_file, settings.http_basic_auth_roles_file
        return HttpBasic(Reloaded(files, lambda: users.load(*files)))
    if settings.auth_strategy == "keystone":
        client, cache_s = keystone_client.build(settings), settings.keystone_token_cache_time
        return Keystone(uri_for_clients(settings), client, cache_s, timeout_s=settings.keystone_timeout)
    return NoAuthentication()


def uri_for_clients(settings: ServerSettings) -> str:
    """Where callers get their tokens."""
    return (settings.keystone_www_authenticate_uri or settings.keystone_auth_url).rstrip("/")


def rules(settings: ServerSettings) -> Reloaded[Policy]:
    """Raises SettingInvalid for a file that cannot be read."""
    path = settings.policy_file
    return Reloaded([path] if path is not None else [], lambda: policy.load(path))
