"""What this server asks of Keystone: whether a token is valid, in the name of a user of its own.

Owns the session of keystoneauth1, which is an extra (``migrator[keystone]``), and what each of its failures means.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from migrator.api.identity.authenticator import CredentialsUnverified, TokenUnanswered
from migrator.api.identity.keystone import EXPIRED, NoAnswer, Refusal
from migrator.errors import LibraryMissing, SettingInvalid
from migrator.settings import ServerSettings

log = logging.getLogger(__name__)
_OWN = "Keystone does not take this server's own credential (keystone_username, keystone_application_credential_id)"


class KeystoneClient:
    """``validated``: from any thread. ``session``: makes one of keystoneauth1's."""

    def __init__(self, session: Callable[[], Any], failures: Any, url: str) -> None:
        self._make, self._failures = session, failures
        self._session = session()
        self._url = f"{url}/auth/tokens"

    def begin_anew(self) -> None:
        """A session lets one thread ask for this server's own token, and the others wait for that."""
        self._session = self._make()

    def validated(self, token: str) -> Mapping[str, Any] | Refusal:
        failures, own = self._failures, ""
        try:
            own = self._session.get_token()
            return self._told_of(token)
        except failures.NotFound as error:
            if _is_of_the_token(error):
                return self._why(token, error)
            log.error(
                "%s %s was answered 404 by what is no Keystone, or by another of its paths: look at keystone_auth_url",
                getattr(error, "method", None) or "GET",
                getattr(error, "url", None) or self._url,
            )
            raise CredentialsUnverified("what answers at keystone_auth_url is no Keystone") from error
        except (failures.Unauthorized, failures.Forbidden) as error:
            log.error("%s: %s", _OWN, error)
            raise CredentialsUnverified(_OWN) from error
        except failures.ConnectionError as error:
            log.error("Keystone at %s cannot be asked: %s", self._url, error)
            if own and self._answers(own):
                raise TokenUnanswered("Keystone gives no answer about this token") from error
            raise NoAnswer from error
        except (failures.ClientException, ValueError, KeyError, TypeError) as error:
            log.error("Keystone at %s cannot be asked: %s", self._url, error)
            raise CredentialsUnverified("Keystone's answer cannot be read") from error

    def _why(self, token: str, error: Any) -> Refusal:
        """Keystone's message may have the token in it, and is not repeated. It has one message for a token that has
        ended and for one that was revoked: whether it is the former is asked, of tokens that a Keystone made alone."""
        message = str(error.response.json()["error"]["message"]).lower()
        if "disabled" in message:
            return Refusal("its project or domain is disabled")
        if "failed to validate" not in message:
            return Refusal("unknown token")
        try:
            ended = self._told_of(token, allow_expired="true")
            return Refusal(EXPIRED, str(ended["user"]["id"]))
        except (self._failures.ClientException, ValueError, KeyError, TypeError):
            return Refusal("revoked, or its user is disabled or changed, or it expired long ago")

    def _told_of(self, token: str, **more: str) -> Mapping[str, Any]:
        asked = {"nocatalog": "true", **more}
        answer = self._session.get(self._url, params=asked, headers={"X-Subject-Token": token})
        found: Mapping[str, Any] = answer.json()["token"]
        return found

    def _answers(self, own: str) -> bool:
        """Whether it still says what it thinks of this server's own token: one client's, with which it breaks the
        connection off, is no reason to refuse the others'."""
        try:
            self._told_of(own)
        except (self._failures.ClientException, ValueError, KeyError, TypeError):
            return False
        return True


def _is_of_the_token(error: Any) -> bool:
    """Whether Keystone itself says that it does not know the token: a proxy, another service, and Keystone's answer to
    a path that it does not have, say something else."""
    try:
        told = error.response.json()["error"]
        return int(told["code"]) == 404 and "token" in str(told["message"]).lower()
    except (AttributeError, ValueError, KeyError, TypeError):
        return False


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
    verify = str(ca) if ca is not None else True

    def begin() -> Any:
        return session.Session(auth=_own(v3, url, settings), verify=verify, timeout=settings.keystone_timeout)

    return KeystoneClient(begin, exceptions, url)


def _own(v3: Any, url: str, settings: ServerSettings) -> Any:
    """How this server gets a token of its own."""
    if settings.keystone_application_credential_id:
        return v3.ApplicationCredential(
            url,
            application_credential_id=settings.keystone_application_credential_id,
            application_credential_secret=settings.keystone_application_credential_secret,
        )
    return v3.Password(
        url,
        username=settings.keystone_username,
        password=settings.keystone_password,
        user_domain_name=settings.keystone_user_domain_name,
        project_name=settings.keystone_project_name,
        project_domain_name=settings.keystone_project_domain_name,
    )


def version_3(url: str) -> str:
    plain = url.rstrip("/")
    return plain if plain.endswith("/v3") else f"{plain}/v3"
