"""The certificate of the agents' port: read and tried at the start, so that what no agent could accept stops it.

Never issues or renews one, and never asks for a passphrase.
"""

import logging
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrator.errors import SettingInvalid
from migrator.settings import ServerSettings, is_loopback

log = logging.getLogger(__name__)

_SOON_S = 14 * 24 * 3600  # a certificate that ends so soon is worth a warning
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name
_NAME = "migrator.invalid"  # the names are the agents' to compare
_ADVICE = "agent_tls_cert and agent_tls_key are PEM files: the server's certificate, then its issuers; and its key"


def context(settings: ServerSettings) -> ssl.SSLContext | None:
    """What the agents' port speaks TLS with; None: plain HTTP. Raises SettingInvalid for a pair that cannot be used."""
    cert, key = settings.agent_tls_cert, settings.agent_tls_key
    if cert is None or key is None:
        if settings.agent_listen is not None and not is_loopback(settings.agent_listen):
            log.warning(
                "agent_listen = %s speaks plain HTTP: agents' credentials can be read on the network on their way; "
                "set agent_tls_cert and agent_tls_key",
                settings.agent_listen,
            )
        return None
    for name, path in (("agent_tls_cert", cert), ("agent_tls_key", key)):
        _check_readable(name, path)
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(made, cert, key)
    _check_life(cert, _shown(made, cert))
    return made


def _check_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise SettingInvalid(f"{name} = {path}: {error.strerror}", advice=_ADVICE) from error


def _load(into: ssl.SSLContext, cert: Path, key: Path) -> None:
    asked: list[bool] = []

    def passphrase() -> str:
        asked.append(True)
        return ""  # an error, not a question on the terminal

    try:
        into.load_cert_chain(cert, key, passphrase)
    except (ssl.SSLError, ValueError) as error:
        if asked:
            words = f"agent_tls_key = {key}: it has a passphrase, and no operator is there to type it"
        elif getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            words = f"agent_tls_key = {key}: it is not the key of the certificate agent_tls_cert = {cert}"
        else:
            words = f"agent_tls_cert = {cert}, agent_tls_key = {key}: one of them is no certificate or no key ({error})"
        raise SettingInvalid(words, advice=_ADVICE) from error


def _shown(server: ssl.SSLContext, cert: Path) -> Mapping[str, Any]:
    """The certificate as an agent sees it that trusts it, whatever the time."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    try:
        client.load_verify_locations(cert)
        client.verify_flags |= _NO_CHECK_TIME | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(down, up, server_hostname=_NAME), server.wrap_bio(up, down, server_side=True)]
        for _ in range(10):  # flights of a handshake
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return ends[0].getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise SettingInvalid(f"agent_tls_cert = {cert}: agents would refuse it: {error.verify_message}") from error
    except (ssl.SSLError, ValueError) as error:
        raise SettingInvalid(f"agent_tls_cert = {cert}: it cannot be used: {error}", advice=_ADVICE) from error


def _check_life(cert: Path, shown: Mapping[str, Any]) -> None:
    now = time.time()
    begins, ends = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
    if ends <= now:
        raise SettingInvalid(f"agent_tls_cert = {cert}: it expired on {shown['notAfter']}", advice="give a new one")
    if begins > now:
        raise SettingInvalid(f"agent_tls_cert = {cert}: it is not valid before {shown['notBefore']}")
    names = ", ".join(f"{kind}:{value}" for kind, value in shown.get("subjectAltName", ()))
    if not names:
        raise SettingInvalid(
            f"agent_tls_cert = {cert}: it has no alternative name (subjectAltName), so it fits no address",
            advice="let it be issued for the address in the agents' server_url, as DNS:NAME or IP:ADDRESS",
        )
    log.log(
        logging.WARNING if ends - now < _SOON_S else logging.INFO,
        "the agents' port speaks TLS; its certificate is for %s and ends on %s",
        names,
        shown["notAfter"],
    )
