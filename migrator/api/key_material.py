"""Keys of key pairs: made, and known by their fingerprints, as Nova does it. Pure but for chance; keeps nothing.

Owns that a key which guests are given is one: whatever cannot be read as its type is refused. A private key that is
made here is answered once, and stored nowhere.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from migrator.errors import BadRequest

SSH, X509 = "ssh", "x509"
_BITS = 2048
_DAYS = 3650
# What the library raises for a text that is no key of its kind, or one of a form that it does not read.
_UNREADABLE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, LookupError, NotImplementedError),
    *(UnsupportedAlgorithm, x509.InvalidVersion),
)
_USER_PRINCIPAL_NAME = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")  # by which Windows knows whose certificate it is


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    public_key: str
    fingerprint: str
    private_key: str | None = None


def imported(public_key: str, kind: str) -> KeyMaterial:
    """Raises BadRequest for a text that is no public key of its kind, in Nova's words."""
    return KeyMaterial(public_key, _ssh(public_key) if kind == SSH else _x509(public_key))


def generated(kind: str, user_id: str) -> KeyMaterial:
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    if kind == X509:
        return _certificate(key, user_id)
    openssh = serialization.PublicFormat.OpenSSH
    public = f"{key.public_key().public_bytes(serialization.Encoding.OpenSSH, openssh).decode()} Generated-by-Nova"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return KeyMaterial(public, _ssh(public), private.decode())


def _ssh(public_key: str) -> str:
    try:
        serialization.load_ssh_public_key(public_key.encode())
        blob = base64.b64decode(public_key.encode().split()[1])
    except _UNREADABLE as error:
        raise BadRequest("Keypair data is invalid: failed to generate fingerprint") from error
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def _x509(certificate: str) -> str:
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        return found.fingerprint(hashes.SHA1()).hex(":")
    except _UNREADABLE as error:
        raise BadRequest(
            "Keypair data is invalid: failed to generate X509 fingerprint. Error message: it is no certificate in PEM"
        ) from error


def _certificate(key: rsa.RSAPrivateKey, user_id: str) -> KeyMaterial:
    """Self-signed, for a user without a password; the private key is a PKCS #12 archive in base64."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _start(user_id, 64).decode() or "user")])
    principal = _start(f"{user_id}@localhost", 127)
    upn = x509.OtherName(_USER_PRINCIPAL_NAME, bytes((0x0C, len(principal))) + principal)  # DER: a UTF-8 text
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([upn]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    archive = pkcs12.serialize_key_and_certificates(None, key, certificate, None, serialization.NoEncryption())
    return KeyMaterial(public, _x509(public), base64.b64encode(archive).decode())


def _start(text: str, most: int) -> bytes:
    """In UTF-8, of whole characters."""
    return text.encode()[:most].decode(errors="ignore").encode()
