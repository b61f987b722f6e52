"""QEMU's own TLS certificates as this host has them: whether they would do for a migration, and until when.

Owns the reading of qemu.conf for where they lie. They are tried on each other in memory, as two hosts would: no network
is used and nothing is changed. Never judges time: the report says from when to when they hold, and the server,
which knows the time, compares (``scheduler/checks/tls_check.py``).
"""

import hashlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrator.protocol import TlsReport

QEMU_CONF = Path("/etc/libvirt/qemu.conf")
_PKI = Path("/etc/pki")  # where libvirt looks when qemu.conf names nothing
_CA, _SERVER, _CLIENT = "ca-cert.pem", "server", "client"
# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name; PARTIAL_CHAIN: GnuTLS, which QEMU has, trusts an
# intermediate authority that is named as one.
_VERIFY = 0x200000 | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
_FLIGHTS = 10  # of a handshake, at most
_LINE = re.compile(r'^\s*(\w+)\s*=\s*(?:"([^"]*)"|(\d+))', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Setup:
    """``verify``: whether QEMU asks the other end for a certificate, so that each host needs one of a client too."""

    directory: Path
    verify: bool


def setup(qemu_conf: Path = QEMU_CONF, pki: Path = _PKI) -> Setup:
    """What libvirt gives QEMU for a migration. Raises OSError when qemu.conf is there and cannot be read."""
    text = qemu_conf.read_text() if qemu_conf.exists() else ""
    found = {name: message or number for name, message, number in _LINE.findall(text)}
    own = pki / "libvirt-migrate"
    usual = Path(found.get("default_tls_x509_cert_dir") or pki / "qemu")
    named = found.get("migrate_tls_x509_cert_dir")
    verify = found.get("migrate_tls_x509_verify") or found.get("default_tls_x509_verify") or "1"
    return Setup(Path(named) if named else own if own.exists() else usual, verify != "0")


def report(address: str, qemu_conf: Path = QEMU_CONF, pki: Path = _PKI) -> TlsReport:
    """What the certificates are good for on a host that is migrated to at ``address``; ``words`` says why not."""
    try:
        return _tried(address, setup(qemu_conf, pki))
    except OSError as error:  # ssl.SSLError is one
        return TlsReport(message=f"{qemu_conf}: {error.strerror or error}")


def _tried(address: str, where: Setup) -> TlsReport:
    lacking = [name for name in _names(where) if not (where.directory / name).is_file()]
    if lacking:
        return TlsReport(message=f"{where.directory} has no {', '.join(lacking)}")
    try:
        authorities = _authorities(where.directory / _CA)
        held = _handshake(address, where, (where.directory / _CA).read_text())
    except (OSError, ValueError) as error:
        return TlsReport(message=f"{where.directory}: {_reason(error)}")
    issuers = [digest for digest, (pem, _) in authorities.items() if _signs(pem, where)]
    trusted = tuple(sorted(authorities))
    if not issuers:
        return TlsReport(trusted=trusted, message=f"{where.directory}: no one authority has signed both certificates")
    lives = [_life(c) for c in (*held, *(authorities[digest][1] for digest in issuers))]
    return TlsReport(
        trusted=trusted,
        issuers=tuple(sorted(issuers)),
        not_before=max(begins for begins, _ in lives),
        not_after=min(ends for _, ends in lives),
    )


def _names(where: Setup) -> list[str]:
    ends = (_SERVER, _CLIENT) if where.verify else (_SERVER,)
    return [_CA, *(f"{end}-{part}.pem" for end in ends for part in ("cert", "key"))]


def _authorities(path: Path) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """SHA-256 fingerprint -> (PEM, fields) of every authority in the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    found = zip(context.get_ca_certs(binary_form=True), context.get_ca_certs(), strict=True)
    return {hashlib.sha256(der).hexdigest(): (ssl.DER_cert_to_PEM_cert(der), fields) for der, fields in found}


def _signs(authority: str, where: Setup) -> bool:
    """Whether this authority alone would do. The name has been looked at before."""
    try:
        _handshake(None, where, authority)
    except ssl.SSLError:
        return False
    return True


def _handshake(address: str | None, where: Setup, authorities: str) -> list[Mapping[str, Any]]:
    """The certificates that were shown, once each end has accepted the other's. Raises ssl.SSLError."""
    here, there = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.check_hostname = address is not None
    ends = ((there, _SERVER), (here, _CLIENT)) if where.verify else ((there, _SERVER),)
    for context, name in ends:
        context.load_cert_chain(
            where.directory / f"{name}-cert.pem",
            where.directory / f"{name}-key.pem",
            lambda: "",  # a key with a passphrase is an error, not a question on the terminal
        )
    there.verify_mode = ssl.CERT_REQUIRED if where.verify else ssl.CERT_NONE
    for context in (here, there):
        context.load_verify_locations(cadata=authorities)
        context.verify_flags |= _VERIFY
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(down, up, server_hostname=address)
    server = there.wrap_bio(up, down, server_side=True)
    _shake_hands(client, server)
    return [shown for end in (client, server) if (shown := end.getpeercert())]


def _shake_hands(client: ssl.SSLObject, server: ssl.SSLObject) -> None:
    waiting = [client, server]
    for _ in range(_FLIGHTS):
        for end in tuple(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            return
    raise ssl.SSLError("the handshake does not end")


def _life(certificate: Mapping[str, Any]) -> tuple[float, float]:
    """From when to when it holds (s since the epoch)."""
    begins, ends = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    return begins, ends


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return str(getattr(error, "strerror", None) or error)
