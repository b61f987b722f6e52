"""What this server asks of Keystone: whether a token is valid, in the name of a user of its own.

Owns the session of keystoneauth1, which is an extra (``migrator[keystone]``), and what each of its failures means.
"""

import logging
from collections.abc import Mapping
from typing import Any

from migrator.errors import LibraryMissing, SettingInvalid, Unavailable
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
_AGAIN_S = 5.0
_OWN = "Keystone does not take this server's own credential (keystone_username, keystone_application_credential_id)"


class KeystoneClient:
    """``validated``: from any thread."""

    def __init__(self, session: Any, failures: Any, url: str) -> None:
        self._session, self._failures = session, failures
        self._url = f"{url}/auth/tokens"

    def validated(self, token: str) -> Mapping[str, Any] | None:
        try:
            answer = self._session.get(self._url, params={"nocatalog": "true"}, headers={"X-Subject-Token": token})
            found: Mapping[str, Any] = answer.json()["token"]
            return found
        except self._failures.NotFound:
            return None
        except (self._failures.Unauthorized, self._failures.Forbidden) as error:
            log.error("%s: %s", _OWN, error)
            raise _unavailable() from error
        except (self._failures.ClientException, ValueError, KeyError) as error:
            log.error("Keystone at %s cannot be asked: %s", self._url, error)
            raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The identity service does not answer: ask again later.", retry_after_s=_AGAIN_S)


def build(settings: ServerSettings) -> KeystoneClient:
    """Raises LibraryMissing, and SettingInvalid for an authority that cannot be read. Asks nothing yet: a Keystone that
    is down keeps no server from starting."""
    try:
        from keystoneauth1 import exceptions, session
        from keystoneauth1.identity import v3
    except ImportError as error:
        raise LibraryMissing(
            "auth_strategy = keystone needs keystoneauth1", advice="pip install 'migrator[keystone]'"
        ) from error
    ca = settings.keystone_cafile
    if ca is not None and not ca.is_file():
        raise SettingInvalid(f"keystone_cafile = {ca}: it is no file")
    url = version_3(settings.keystone_auth_url)
    if settings.keystone_application_credential_id:
        plugin: Any = v3.ApplicationCredential(
            url,
            application_credential_id=settings.keystone_application_credential_id,
            application_credential_secret=settings.keystone_application_credential_secret,
        )
    else:
        plugin = v3.Password(
            url,
            username=settings.keystone_username,
            password=settings.keystone_password,
            user_domain_name=settings.keystone_user_domain_name,
            project_name=settings.keystone_project_name,
            project_domain_name=settings.keystone_project_domain_name,
        )
    made = session.Session(auth=plugin, verify=str(ca) if ca is not None else True, timeout=settings.keystone_timeout)
    return KeystoneClient(made, exceptions, url)


def version_3(url: str) -> str:
    plain = url.rstrip("/")
    return plain if plain.endswith("/v3") else f"{plain}/v3"
