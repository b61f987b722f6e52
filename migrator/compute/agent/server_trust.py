"""Whether the agent talks to its own server: the authorities that it trusts, and what a failed TLS handshake means.

Owns no connection. Never trusts less than a full check of name, time and authority.
"""

import logging
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from migrator import private_files
from migrator.errors import SettingInvalid
from migrator.settings import AgentSettings, is_loopback

log = logging.getLogger("migrator.agent")

MENDED_BY_HAND_S = 10.0  # between two attempts at a server that is not trusted; a lease lasts longer
_UNKNOWN_ISSUER = (18, 19, 20, 21)  # of OpenSSL's X509_V_ERR_*
_OTHER_NAME = (62, 63, 64)
_TIME = (9, 10)
# What OpenSSL says of an answer that is no TLS.
_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE")


@cache
def authorities(server_ca: Path | None) -> ssl.SSLContext:
    """``server_ca`` alone, or those that every client would read for itself, which takes 20 ms and 1 MiB each. Raises
    SettingInvalid."""
    if server_ca is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        made = ssl.create_default_context(cafile=str(server_ca))
    except ssl.SSLError as error:
        advice = "expected a PEM file with the certificate of the authority that signed the server's"
        raise SettingInvalid(f"server_ca = {server_ca}: there is no certificate in it", advice=advice) from error
    except OSError as error:
        raise SettingInvalid(f"server_ca = {server_ca}: {error.strerror}") from error
    made.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # an intermediate authority may be the one
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def check(settings: AgentSettings) -> None:
    """Before anything is begun. Raises SettingInvalid; a credential that others could read is a warning."""
    private_files.check_setting("state_path", settings.state_path)
    for name, pool in settings.storage.items():
        private_files.check_setting(f"storage.{name}", pool)
    if settings.server_ca is not None:
        authorities(settings.server_ca)
    url = urlsplit(settings.server_url)
    if settings.token and url.scheme == "http" and not is_loopback(f"{url.hostname}:{url.port or 80}"):
        log.warning(
            "server_url = %s is plain HTTP to another machine: this host's credential can be read on the way; give the "
            "server agent_tls_cert and agent_tls_key, and the agent https:// and server_ca",
            settings.server_url,
        )


def distrust(error: BaseException) -> str | None:
    """Why the server is not talked to, if ``error`` comes from TLS."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {cause.verify_message.rstrip('.')}; {_advice(cause.verify_code)}"
    if isinstance(cause, ssl.SSLError):
        if cause.reason in _PLAIN:
            return "the server speaks no TLS at this address; see server_url, and agent_tls_cert of the server"
        return f"no TLS connection to the server: {cause.reason or cause}"
    return None


def _advice(code: int) -> str:
    if code in _UNKNOWN_ISSUER:
        return "the setting server_ca names the file of the authority that signed it"
    if code in _OTHER_NAME:
        return "it must have the address in server_url among its alternative names, or server_url is another server's"
    if code in _TIME:
        return "give the server a new one; and look whether this machine's clock is right"
    return "give the server another one"
