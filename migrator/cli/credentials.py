"""Who the command line says it is: the variables by which OpenStack's clients know it.

``OS_AUTH_TYPE``: ``http_basic`` and ``password`` (Keystone's, the default where ``OS_AUTH_URL`` is set) with
``OS_USERNAME`` and ``OS_PASSWORD``; ``v3applicationcredential`` with its id and secret; ``token`` with ``OS_TOKEN``.
``OS_CACERT`` names the only authority whose certificate of an https:// server is accepted.
"""

import os
import ssl
from collections.abc import Generator, Mapping
from typing import Any

import httpx

from migrator.errors import BadRequest, Unauthorized

# strategy -> what it needs
STRATEGIES = {
    "none": (),
    "http_basic": ("OS_USERNAME", "OS_PASSWORD"),
    "token": ("OS_TOKEN",),
    "password": ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME"),
    "v3applicationcredential": ("OS_AUTH_URL", "OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET"),
}
_NAMES = {"v3password": "password", "v3token": "token", "admin_token": "token"}


class Token(httpx.Auth):
    """A token with each request: the one that is given, or one that Keystone issues for ``asked``, again when it is
    refused."""

    def __init__(self, token: str = "", url: str = "", asked: Mapping[str, Any] | None = None) -> None:
        self._token, self._url, self._asked = token, url, asked

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._asked is None or self._token:
            request.headers["X-Auth-Token"] = self._token
            answer = yield request
            if self._asked is None or answer.status_code != 401:
                return
        answer = yield httpx.Request("POST", f"{self._url}/auth/tokens", json={"auth": self._asked})
        if answer.status_code != 201:
            raise Unauthorized(f"Keystone at {self._url} issued no token: it answered {answer.status_code}")
        self._token = answer.headers["X-Subject-Token"]
        request.headers["X-Auth-Token"] = self._token
        yield request


def given() -> httpx.Auth | None:
    """Raises BadRequest for what is missing."""
    known = os.environ
    asked = known.get("OS_AUTH_TYPE") or ("password" if known.get("OS_AUTH_URL") else "none")
    asked = _NAMES.get(asked, asked)
    if asked not in STRATEGIES:
        raise BadRequest(f"OS_AUTH_TYPE is {asked!r}; one of {', '.join(STRATEGIES)}")
    if missing := [name for name in STRATEGIES[asked] if not known.get(name)]:
        raise BadRequest(f"{missing[0]} is missing, which OS_AUTH_TYPE={asked} needs")
    if asked == "none":
        return None
    if asked == "http_basic":
        return httpx.BasicAuth(known["OS_USERNAME"], known["OS_PASSWORD"])
    if asked == "token":
        return Token(known["OS_TOKEN"])
    url = known["OS_AUTH_URL"].rstrip("/")
    return Token(url=url if url.endswith("/v3") else f"{url}/v3", asked=_asked(asked, known))


def _asked(strategy: str, known: Mapping[str, str]) -> Mapping[str, Any]:
    if strategy == "v3applicationcredential":
        ident, secret = known["OS_APPLICATION_CREDENTIAL_ID"], known["OS_APPLICATION_CREDENTIAL_SECRET"]
        return {
            "identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": ident, "secret": secret},
            }
        }
    user_domain = {"name": known.get("OS_USER_DOMAIN_NAME", "Default")}
    project_domain = {"name": known.get("OS_PROJECT_DOMAIN_NAME", "Default")}
    user = {"name": known["OS_USERNAME"], "password": known["OS_PASSWORD"], "domain": user_domain}
    project = {"name": known["OS_PROJECT_NAME"], "domain": project_domain}
    return {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}


def trusted() -> ssl.SSLContext | bool:
    """Raises BadRequest."""
    path = os.environ.get("OS_CACERT")
    if not path:
        return True
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise BadRequest(f"OS_CACERT = {path} cannot be used: {error.strerror or error}") from error
