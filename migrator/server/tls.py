"""The certificates of the server's ports: read and tried at the start, so that what no client could accept stops it,
and read again when they change.

Never issues or renews one, and never asks for a passphrase.
"""

import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.errors import SettingInvalid
from migrator.reloaded import Reloaded
from migrator.settings import ServerSettings, is_loopback

log = logging.getLogger(__name__)

_SOON_S = 14 * 24 * 3600  # a certificate that ends so soon is worth a warning
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name
_NAME = "migrator.invalid"  # the names are the agents' to compare


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as two settings give them; ``clients``: who sees the certificate."""

    cert_setting: str
    cert: Path
    key_setting: str
    key: Path
    clients: str

    @property
    def advice(self) -> str:
        return (
            f"{self.cert_setting} and {self.key_setting} are PEM files: the server's certificate, then its issuers; "
            "and its key"
        )


Contexts = Reloaded[ssl.SSLContext] | None


def contexts(settings: ServerSettings) -> Sequence[Contexts]:
    """What the API's port, and the agents' one if there is one, speak TLS with; None: plain HTTP. Raises SettingInvalid
    for a pair that cannot be used."""
    api = _reloaded("tls_cert", settings.tls_cert, "tls_key", settings.tls_key, "the API's clients")
    if settings.agent_listen is None:
        return (api,)
    agents = _reloaded("agent_tls_cert", settings.agent_tls_cert, "agent_tls_key", settings.agent_tls_key, "agents")
    if agents is None and not is_loopback(settings.agent_listen):
        log.warning(
            "agent_listen = %s speaks plain HTTP: agents' credentials can be read on the network on their way; "
            "set agent_tls_cert and agent_tls_key",
            settings.agent_listen,
        )
    return api, agents


def _reloaded(cert_setting: str, cert: Path | None, key_setting: str, key: Path | None, clients: str) -> Contexts:
    if cert is None or key is None:
        return None
    pair = Pair(cert_setting, cert, key_setting, key, clients)
    return Reloaded([cert, key], lambda: _context(pair))


def _context(pair: Pair) -> ssl.SSLContext:
    for name, path in ((pair.cert_setting, pair.cert), (pair.key_setting, pair.key)):
        _check_readable(pair, name, path)
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(made, pair)
    _check_life(pair, _shown(made, pair))
    return made


def _check_readable(pair: Pair, name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise SettingInvalid(f"{name} = {path}: {error.strerror}", advice=pair.advice) from error


def _load(into: ssl.SSLContext, pair: Pair) -> None:
    asked: list[bool] = []
    cert, key = f"{pair.cert_setting} = {pair.cert}", f"{pair.key_setting} = {pair.key}"

    def passphrase() -> str:
        asked.append(True)
        return ""  # an error, not a question on the terminal

    try:
        into.load_cert_chain(pair.cert, pair.key, passphrase)
    except (ssl.SSLError, ValueError) as error:
        if asked:
            message = f"{key}: it has a passphrase, and no operator is there to type it"
        elif getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            message = f"{key}: it is not the key of the certificate {cert}"
        else:
            message = f"{cert}, {key}: one of them is no certificate or no key ({error})"
        raise SettingInvalid(message, advice=pair.advice) from error


def _shown(server: ssl.SSLContext, pair: Pair) -> Mapping[str, Any]:
    """The certificate as a client sees it that trusts it, whatever the time."""
    cert = f"{pair.cert_setting} = {pair.cert}"
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    try:
        client.load_verify_locations(pair.cert)
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
        raise SettingInvalid(f"{cert}: {pair.clients} would refuse it: {error.verify_message}") from error
    except (ssl.SSLError, ValueError) as error:
        raise SettingInvalid(f"{cert}: it cannot be used: {error}", advice=pair.advice) from error


def _check_life(pair: Pair, shown: Mapping[str, Any]) -> None:
    now, cert = time.time(), f"{pair.cert_setting} = {pair.cert}"
    begins, ends = (ssl.cert_time_to_seconds(str(shown[name])) for name in ("notBefore", "notAfter"))
    if ends <= now:
        raise SettingInvalid(f"{cert}: it expired on {shown['notAfter']}", advice="give a new one")
    if begins > now:
        raise SettingInvalid(f"{cert}: it is not valid before {shown['notBefore']}")
    names = ", ".join(f"{kind}:{value}" for kind, value in shown.get("subjectAltName", ()))
    if not names:
        raise SettingInvalid(
            f"{cert}: it has no alternative name (subjectAltName), so it fits no address",
            advice=f"let it be issued for the address that {pair.clients} use, as DNS:NAME or IP:ADDRESS",
        )
    log.log(
        logging.WARNING if ends - now < _SOON_S else logging.INFO,
        "the port of %s speaks TLS; its certificate is for %s and ends on %s",
        pair.clients,
        names,
        shown["notAfter"],
    )
